"""Names on the NATS server are defined in one module."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests import ROOT

SUBJECTS = ROOT / "packages/protocol/src/ajobs/protocol/subjects.py"
HEADERS = ROOT / "packages/protocol/src/ajobs/protocol/headers.py"
VARIABLES = {"CHORIA_AJ_TASK"}
"""Environment variables of the wire contract."""

ON_THE_SERVER = re.compile(r"CHORIA_AJ|\$JS\.|\$KV\.|\bKV_")
IN_HEADERS = re.compile(r"^(Nats|AJ|KV)-|^NATS/1")


def literals(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the strings in a file, except docstrings."""
    tree = ast.parse(path.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in docstrings and isinstance(node.value, str | bytes):
            yield node.lineno, node.value if isinstance(node.value, str) else node.value.decode("latin-1")


def elsewhere(name: re.Pattern[str], home: Path) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{line}: {text!r}"
        for folder in ("packages", "services")
        for path in sorted((ROOT / folder).glob("*/src/**/*.py"))
        if path != home
        for line, text in literals(path)
        if name.search(text) and text not in VARIABLES
    ]


def test_streams_buckets_and_subjects_are_defined_in_subjects_only():
    assert len([text for _, text in literals(SUBJECTS) if ON_THE_SERVER.search(text)]) > 15
    assert elsewhere(ON_THE_SERVER, SUBJECTS) == []


def test_headers_are_defined_in_headers_only():
    assert len([text for _, text in literals(HEADERS) if IN_HEADERS.search(text)]) > 5
    assert elsewhere(IN_HEADERS, HEADERS) == []
