"""The error tree is what its drawing says, and its codes are stable."""

from __future__ import annotations

import re

from ajobs.protocol import errors
from ajobs.protocol.errors import AjobsError


def subclasses(kind):
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


ALL = {kind.__name__: kind for kind in subclasses(AjobsError) if kind.__module__ == errors.__name__}
CODES = {
    "invalid_argument", "not_found", "conflict", "duplicate", "payload_too_large", "signature_invalid",
    "signature_required", "dependency_failed", "internal", "unavailable",
}  # fmt: skip


def test_the_drawing_above_the_tree_shows_each_error_below_its_parent():
    drawn: dict[str, str] = {}
    parents = ["AjobsError"]
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ([│ ├└─]+)(\w+Error)", line)
        if found:
            depth = len(found[1]) // 4
            del parents[depth:]
            drawn[found[2]] = parents[-1]
            parents.append(found[2])
    assert drawn == {name: kind.__mro__[1].__name__ for name, kind in ALL.items()}


def test_each_error_has_a_known_code_and_a_reason_of_its_own():
    assert {kind.code for kind in ALL.values()} <= CODES
    reasons = [kind.reason for kind in ALL.values()]
    assert len(set(reasons)) == len(reasons)
