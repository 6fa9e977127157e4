"""Texts use the words of docs/glossary.md: docstrings, comments, strings, test names and pages."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests import ROOT

AVOIDED = re.compile(
    r"(?-i:\bis none\b)|\blikewise\b|\bditto\b|\bbeside\b(?!-go)|\bfor ever\b|\banew\b|\bsomebody\b|\bwhoever\b|"
    r"\bnobody\b|\bthe original(?:'s| (?:does|makes|writes|has|deletes)\b)|\bof no use\b|\bat the (?:most|least)\b|"
    r"\bit goes on\b|\blook(?:ed|s) at\b|\bin the same moment\b|\bbrought to an end\b|"
    r"_(?:beside|for_ever|anew|somebody|whoever|nobody|of_no_use|told|tells|goes_on|likewise)(?=_|\b)",
    re.IGNORECASE,
)
"""Phrases of the list *Words to avoid* that a program can recognize."""
NAMES = re.compile(r"nobody@|Nobody\"|'nobody'|\"nobody\"|user nobody|nobody:")
"""A user, an address or a name in a sample, which may be called nobody."""
KINDS = (".py", ".md", ".yaml", ".yml", ".toml", ".conf", ".txt", ".json", "Makefile", "Dockerfile", ".env.example")
EXEMPT = {"docs/glossary.md", "tests/unit/test_language.py"}
"""Files that list the phrases."""


def tracked() -> list[str]:
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in files.stdout.splitlines() if name.endswith(KINDS) and name not in EXEMPT]


def avoided(text: str) -> list[str]:
    """Return the lines that use a phrase to avoid, with their numbers."""
    return [
        f"{number}: {line.strip()}"
        for number, line in enumerate(text.splitlines(), 1)
        if AVOIDED.search(NAMES.sub("", line))
    ]


def test_no_text_uses_a_phrase_to_avoid():
    found = {
        name: lines
        for name in tracked()
        if (ROOT / name).is_file() and (lines := avoided((ROOT / name).read_text(encoding="utf-8")))
    }
    assert found == {}, "docs/glossary.md has the words to use instead"


@pytest.mark.parametrize(
    "line",
    ["cursor 'x' is none", "Tasks made before, likewise.", "async def test_a_gap_is_told():", "Nobody leads"],
)
def test_a_phrase_to_avoid_is_recognized(line: str):
    assert avoided(line) == [f"1: {line}"]


def test_a_sample_may_have_an_address_of_nobody():
    assert avoided("550 no mailbox for nobody@example.org") == []
