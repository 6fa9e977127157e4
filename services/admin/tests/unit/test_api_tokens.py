"""Tokens, their file, and what too many failures lead to."""

from __future__ import annotations

import pytest

from ajobs.admin.api.tokens import Failures, Scope, new_token, parse_tokens
from ajobs.protocol.errors import ConfigurationError, InvalidNameError


def test_a_token_is_in_its_line_only_as_a_hash():
    token, line = new_token("ann", [Scope.WRITE, Scope.READ])
    assert token.startswith("ajt_")
    assert token not in line
    (parsed,) = parse_tokens(line, "tokens")
    assert (parsed.name, parsed.scope) == ("ann", Scope.WRITE)
    assert new_token("ann", [Scope.READ])[0] != token


@pytest.mark.parametrize(("has", "allows"), [("read", "read"), ("write", "read write"), ("admin", "read write admin")])
def test_a_scope_includes_those_before_it(has, allows):
    (token,) = parse_tokens(new_token("ann", [Scope(has)])[1], "tokens")
    assert [scope for scope in Scope if token.allows(scope)] == allows.split()


def test_a_token_needs_a_name_and_a_scope():
    with pytest.raises(InvalidNameError):
        new_token("a b", [Scope.READ])
    with pytest.raises(ConfigurationError):
        new_token("ann", [])


HASH = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "has no token"),
        ("# nothing\n\n", "has no token"),
        ("ann read", "line 1: not a name, scopes and a hash"),
        (f"# one\nann root {HASH}", "line 2: unknown scope: choose from read, write, admin"),
        ("ann read secret-in-the-clear", "line 1: the hash is not"),
        ("ann read sha256:" + "G" * 64, "line 1: the hash is not"),
        (f"ann read {HASH}\nann write {HASH}", "line 2: token ann is already defined"),
    ],
)
def test_the_error_for_an_invalid_file_names_the_line(text, complaint):
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        parse_tokens(text, "tokens")
    assert "secret" not in str(caught.value)


def test_failures_are_counted_by_address_and_forgotten():
    failures = Failures(limit=2, window_s=60, addresses=2)
    assert [failures.note("a") for _ in range(2)] == [None, None]
    assert 0 < (failures.note("a") or 0) <= 60
    assert failures.note("b") is None
    assert failures.note("c") is None  # a third address, so the oldest is forgotten
    assert failures.note("a") is None
    over = Failures(limit=1, window_s=0)
    assert [over.note("a") for _ in range(3)] == [None, None, None]
