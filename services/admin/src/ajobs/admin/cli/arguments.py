"""Types of parameters that several commands share, and how they are written on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import Parameter, Token

from ajobs.admin.text.human import duration_text
from ajobs.client.tasks.ages import parse_age


def _duration(_: Any, tokens: Sequence[Token]) -> int:
    return parse_age(tokens[0].value)


def _duration_default(duration_ns: int | None) -> str | None:
    return None if duration_ns is None else duration_text(duration_ns)


Duration = Annotated[
    int,
    Parameter(converter=_duration, n_tokens=1, accepts_keys=False, metavar="DURATION", show_default=_duration_default),
]
"""Nanoseconds, written as ``90s``, ``1h30m`` or ``7d``."""

Timeout = Annotated[Duration | None, Parameter(help="How long to wait. Default: without limit.")]
Json = Annotated[bool, Parameter(name=("--json", "-j"), negative=(), help="Print JSON.")]
Csv = Annotated[bool, Parameter(negative=(), help="Print comma-separated values.")]
Force = Annotated[bool, Parameter(name=("--force", "-f"), help="Skip the confirmation prompt.")]
QueueName = Annotated[str, Parameter(name=("--queue", "-q"))]
Switch = Annotated[bool, Parameter(negative=(), show_default=False)]
"""An option without a value and without a ``--no-`` form."""


def listed(texts: Sequence[str]) -> list[str]:
    """Return the values of an option that can be repeated and can name several, separated by commas."""
    return [part for text in texts for part in (piece.strip() for piece in text.split(",")) if part]
