"""What a check says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from ajobs.admin.doctor.facts import Facts


class Level(StrEnum):
    """How bad something is."""

    OK = "ok"
    WARNING = "warning"
    """It works; sooner or later it may not, or not as it seems to be meant."""
    PROBLEM = "problem"
    """Something does not work."""


class Verdict(NamedTuple):
    """One thing that a check found."""

    level: Level
    text: str
    remedy: str = ""
    """What to do, in one line; empty when all is well."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict and the check that it is of."""

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
    """Says what there is to say when that finds nothing."""


def always(text: str) -> Callable[[Facts], str]:
    """Return a function that says the same whatever the facts."""
    return lambda _: text


def warning(text: str, remedy: str) -> Verdict:
    """Say that something may become a problem."""
    return Verdict(Level.WARNING, text, remedy)


def problem(text: str, remedy: str) -> Verdict:
    """Say that something does not work."""
    return Verdict(Level.PROBLEM, text, remedy)


def run(group: str, checks: Iterable[Check], facts: Facts) -> Iterator[Finding]:
    """Yield what some checks find, and for each that finds nothing that all is well."""
    for check in checks:
        verdicts = list(check.judge(facts))
        if not verdicts:
            verdicts = [Verdict(Level.OK, check.fine(facts))]
        for level, text, remedy in verdicts:
            yield Finding(group=group, check=check.name, level=level, text=text, remedy=remedy)


def some(names: Iterable[str], most: int = 3) -> str:
    """Return a few names and how many more there are."""
    all_names = list(names)
    shown = ", ".join(all_names[:most])
    return shown if len(all_names) <= most else f"{shown} and {len(all_names) - most:,} more"
