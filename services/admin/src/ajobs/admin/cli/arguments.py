"""Types of parameters that several commands have, and how a group of commands is made.

What cyclopts shows in a help page is the parameter's docstring; these say how it is written on the command line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

from cyclopts import App, Parameter, Token

from ajobs.admin.cli.pages import default_text
from ajobs.admin.text.human import duration_text
from ajobs.client.tasks.ages import parse_age
from ajobs.protocol.states import TaskState, parse_state


def _duration(_: Any, tokens: Sequence[Token]) -> int:
    return parse_age(tokens[0].value)


def _duration_default(duration_ns: int | None) -> str | None:
    return None if duration_ns is None else duration_text(duration_ns)


def _state(_: Any, tokens: Sequence[Token]) -> TaskState:
    return parse_state(tokens[0].value)


Duration = Annotated[
    int,
    Parameter(converter=_duration, n_tokens=1, accepts_keys=False, metavar="DURATION", show_default=_duration_default),
]
"""Nanoseconds, written as ``90s``, ``1h30m`` or ``7d``."""

State = Annotated[TaskState, Parameter(converter=_state, n_tokens=1, accepts_keys=False, metavar="STATE")]
"""A state of a task, by its name on the wire."""

Json = Annotated[bool, Parameter(name=("--json", "-j"), negative=(), help="Print JSON.")]
Csv = Annotated[bool, Parameter(negative=(), help="Print comma-separated values.")]
Force = Annotated[bool, Parameter(name=("--force", "-f"), help="Do it without a question.")]
QueueName = Annotated[str, Parameter(name=("--queue", "-q"))]


DEFAULTS = Parameter(negative_iterable=(), show_default=default_text)
"""What holds for all parameters that say nothing else."""


def group(name: str, text: str, **settings: Any) -> App:
    """Return an app for a group of commands; see `ajobs.admin.cli.main`."""
    return App(name=name, help=text, default_parameter=DEFAULTS, **settings)


STDIN = "@-"
"""What a lone ``-``, the standard input, is called for the parser, which takes that for an option."""


class Command(NamedTuple):
    """A command, or a group of them, that is imported when it is asked for."""

    name: str
    aliases: tuple[str, ...]
    place: str
    """The function or app, as ``module:attribute`` of this package."""
    help: str

    def mount(self, app: App) -> None:
        """Make it a command of an app."""
        app.command(f"ajobs.admin.cli.{self.place}", name=self.name, alias=self.aliases, help=self.help)


def listed(texts: Sequence[str]) -> list[str]:
    """Return what an option was given that can be repeated, and be several with commas."""
    return [part for text in texts for part in (piece.strip() for piece in text.split(",")) if part]
