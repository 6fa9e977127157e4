"""Printing lines, JSON and fields: styled on a terminal, plain when piped.

Piped output is never cut, wrapped or colored, so that a program can read it. ``NO_COLOR`` removes colors on a terminal.
Texts of tasks never reach a terminal as control characters.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from ajobs.protocol.text import printable, printable_json

if TYPE_CHECKING:
    from rich.console import Console

STATE_STYLES = {
    "new": "cyan",
    "active": "bold blue",
    "retry": "yellow",
    "blocked": "magenta",
    "complete": "green",
    "expired": "red",
    "terminated": "red",
    "unreachable": "red",
    "queue_error": "bold red",
}
"""Colors of task states on a terminal."""


def is_terminal() -> bool:
    """Return whether standard output is a terminal."""
    return sys.stdout.isatty()


def console(*, error: bool = False) -> Console:
    """Return a rich console for standard output or standard error."""
    from rich.console import Console  # slow to import, and not needed when piped

    return Console(stderr=error, highlight=False, markup=False, emoji=False)


def say(text: str) -> None:
    """Print a line."""
    print(text)  # noqa: T201 - this is what prints


def say_foreign(text: str) -> None:
    """Print a text of several lines from outside. On a terminal, characters that do not print are escaped."""
    say("\n".join(map(printable, text.split("\n"))) if is_terminal() else text)


def complain(text: str) -> None:
    """Print a line on standard error."""
    print(f"ajc: {printable(text)}", file=sys.stderr, flush=True)  # noqa: T201 - this is what prints


def show_json(value: Any) -> None:
    """Print a value as indented JSON. Characters that do not print are escaped, so that the value stays the same."""
    lines = msgspec.json.format(msgspec.json.encode(value), indent=2).decode().split("\n")
    say("\n".join(map(printable_json, lines)))


def show_json_line(value: Any) -> None:
    """Print a value as one line of JSON and flush: for streams of values."""
    print(printable_json(msgspec.json.encode(value).decode()), flush=True)  # noqa: T201 - this is what prints


def say_state(start: str, state: str, end: str) -> None:
    """Print a line with a task state in it, in the color of the state on a terminal, and flush."""
    if is_terminal():
        from rich.text import Text

        line = Text(printable(start)).append(state, style=STATE_STYLES.get(state, "")).append(printable(end))
        console().print(line)
    else:
        print(printable(f"{start}{state}{end}"), flush=True)  # noqa: T201 - this is what prints


def show_fields(title: str, fields: Iterable[tuple[str, str] | None]) -> None:
    """Print the labelled fields of one thing. A field that is ``None`` is left out."""
    shown = [(label, printable(text)) for label, text in filter(None, fields)]
    width = max((len(label) for label, _ in shown), default=0)
    if not is_terminal():
        say(printable(title))
        for label, text in shown:
            say(f"  {label.rjust(width)}: {text}".rstrip())
        return
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", style="cyan", min_width=width)
    grid.add_column(overflow="fold")
    for label, text in shown:
        grid.add_row(label, Text(text, style=STATE_STYLES.get(text, "")))
    out = console()
    out.print(Text(printable(title), style="bold"))
    out.print(Padding(grid, (0, 0, 0, 2)))
