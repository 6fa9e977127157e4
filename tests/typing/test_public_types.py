"""Programs that use the public interface type-check, and programs that misuse it do not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests import ROOT

HERE = Path(__file__).parent
VALID = sorted((HERE / "valid").glob("*.py"))
INVALID = sorted((HERE / "invalid").glob("*.py"))
MARK = "# wrong:"


@pytest.fixture(scope="module")
def errors() -> dict[Path, dict[int, list[str]]]:
    """The errors of all programs by file and line, from one run of the type checker."""
    command = [sys.executable, "-m", "basedpyright", "--outputjson", *map(str, VALID + INVALID)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    report = json.loads(ran.stdout)
    assert report["summary"]["filesAnalyzed"] == len(VALID + INVALID)
    errors: dict[Path, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for each in report["generalDiagnostics"]:
        if each["severity"] == "error":
            line = each["range"]["start"]["line"] + 1
            errors[Path(each["file"])][line].append(f"{line}: {each['message']}")
    return errors


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_correct_program_type_checks(errors, path):
    assert not [text for texts in errors[path].values() for text in texts]


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_each_mistake_is_an_error_and_nothing_else_is(errors, path):
    lines = path.read_text(encoding="utf-8").splitlines()
    marked = {number for number, line in enumerate(lines, 1) if MARK in line}
    assert marked
    assert set(errors[path]) == marked, errors[path]
