"""Checks and their findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from ajobs.admin.doctor.facts import Facts


class Level(StrEnum):
    """The severity of a finding."""

    OK = "ok"
    WARNING = "warning"
    """It works, but it may stop working or differ from the intention."""
    PROBLEM = "problem"
    """Something does not work."""


class Verdict(NamedTuple):
    """One result of a check."""

    level: Level
    text: str
    remedy: str = ""
    """The remedy, in one line; empty for ``ok``."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict with its check."""

    group: str
    check: str
    level: Level
    text: str
    remedy: str = ""


class Check(NamedTuple):
    """A check: a name, and a pure function of the facts."""

    name: str
    judge: Callable[[Facts], Iterable[Verdict]]
    fine: Callable[[Facts], str]
    """Returns the text for a check without findings."""


def always(text: str) -> Callable[[Facts], str]:
    """Return a function that ignores the facts and returns this text."""
    return lambda _: text


def warning(text: str, remedy: str) -> Verdict:
    """Return a warning."""
    return Verdict(Level.WARNING, text, remedy)


def problem(text: str, remedy: str) -> Verdict:
    """Return a problem."""
    return Verdict(Level.PROBLEM, text, remedy)


def run(group: str, checks: Iterable[Check], facts: Facts) -> Iterator[Finding]:
    """Yield the findings of checks, and ``ok`` for each check without one."""
    for check in checks:
        verdicts = list(check.judge(facts))
        if not verdicts:
            verdicts = [Verdict(Level.OK, check.fine(facts))]
        for level, text, remedy in verdicts:
            yield Finding(group=group, check=check.name, level=level, text=text, remedy=remedy)


def some(names: Iterable[str], most: int = 3) -> str:
    """Return the first names and the number of the others."""
    all_names = list(names)
    shown = ", ".join(all_names[:most])
    return shown if len(all_names) <= most else f"{shown} and {len(all_names) - most:,} more"
