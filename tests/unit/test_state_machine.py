"""All code changes states through the state machine, and its documentation is current."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from scripts.state_diagram import PAGE, wanted
from tests import ROOT


def test_the_page_shows_the_current_state_machine():
    page = PAGE.read_text()
    assert page == wanted(page), "run `python -m scripts.state_diagram`"


def changes_of_state() -> Iterator[tuple[str, ast.expr]]:
    """Yield each ``state`` argument of a call of ``replace`` in a source file, with its location."""
    for folder in ("packages", "services"):
        for path in sorted((ROOT / folder).glob("*/src/**/*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("replace"):
                    for keyword in node.keywords:
                        if keyword.arg == "state":
                            yield f"{path.relative_to(ROOT)}:{node.lineno}", keyword.value


def test_each_change_of_a_state_is_checked_against_the_state_machine():
    changes = list(changes_of_state())
    assert len(changes) >= 10
    unchecked = [
        where
        for where, value in changes
        if not (isinstance(value, ast.Call) and ast.unparse(value.func).endswith("transition"))
    ]
    assert unchecked == []
