"""What commands print: tables, fields of one thing, JSON and CSV; rich on a terminal, plain text when piped.

Piped, nothing is cut, wrapped or coloured, so that a program may read it. ``NO_COLOR`` takes the colours off a
terminal.
Texts that came from a task never reach a terminal as control characters.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

T = TypeVar("T")

NARROW = 100
"""Columns of a terminal below which tables have no frame."""

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
"""How the states of tasks look on a terminal."""


@dataclass(frozen=True)
class Column(Generic[T]):
    """A column of a table of ``T``."""

    title: str
    value: Callable[[T], Any]
    """What the column is about; CSV has it as it is."""
    show: Callable[[Any], str] = str
    """Makes the text for people from that."""
    right: bool = False
    """Whether it is a number, which stands on the right."""
    style: str | Callable[[Any], str] = ""
    """How it looks on a terminal, or what tells that from the value."""
    is_long: bool = False
    """Whether it takes the room that is left on a terminal, and is cut before the others."""
    narrowest: int = 4
    """To how many characters a terminal too narrow for all may cut it."""


def is_terminal() -> bool:
    """Tell whether the output goes to a terminal."""
    return sys.stdout.isatty()


def console(*, error: bool = False) -> Console:
    """Return the output, or the error output, as rich writes to it."""
    from rich.console import Console  # takes time that a piped command need not

    return Console(stderr=error, highlight=False, markup=False, emoji=False)


def printable(text: str) -> str:
    """Return a text as one line without characters that a terminal would act upon."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _visible(char) for char in text)


def _visible(char: str) -> str:
    return " " if char in "\n\t" else char.encode("unicode_escape").decode()


def say(text: str) -> None:
    """Print a line."""
    print(text)  # noqa: T201 - this is what prints


def complain(text: str) -> None:
    """Print a line on the error output."""
    print(f"ajc: {printable(text)}", file=sys.stderr, flush=True)  # noqa: T201 - likewise


def show_json(value: Any) -> None:
    """Print a value as JSON that is easy on the eye."""
    say(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def show_json_line(value: Any) -> None:
    """Print a value as one line of JSON, at once: for what comes bit by bit."""
    print(msgspec.json.encode(value).decode(), flush=True)  # noqa: T201 - likewise


def show_csv(rows: Iterable[T], columns: Sequence[Column[T]]) -> None:
    """Print rows as comma-separated values below a line of titles."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([column.title.lower().replace(" ", "_") for column in columns])
    for row in rows:
        writer.writerow([column.value(row) for column in columns])


def show_table(
    rows: Sequence[T], columns: Sequence[Column[T]], *, title: str, empty: str, as_csv: bool = False
) -> None:
    """Print rows as a table.

    Args:
        rows: The rows.
        columns: The columns.
        title: What it is, shown on a terminal.
        empty: What is said when there are no rows; not in CSV.
        as_csv: Print comma-separated values instead.
    """
    if as_csv:
        show_csv(rows, columns)
    elif not rows:
        say(empty)
    elif is_terminal():
        console().print(rich_table(rows, columns, title=title))
    else:
        for line in _aligned(rows, columns):
            say(line)


def rich_table(rows: Iterable[T], columns: Sequence[Column[T]], *, title: str = "") -> Table:
    """Return rows as a table for a terminal."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    is_narrow = console().width < NARROW
    table = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD if is_narrow else box.ROUNDED,
        padding=(0, 1, 0, 0) if is_narrow else (0, 1),
        pad_edge=not is_narrow,
        header_style="bold",
    )
    for column in columns:
        table.add_column(
            column.title,
            justify="right" if column.right else "left",
            overflow="ellipsis",
            ratio=1 if column.is_long else None,
            min_width=None if column.is_long else column.narrowest,
        )
    for row in rows:
        cells: list[Text] = []
        for column in columns:
            value = column.value(row)
            style = column.style if isinstance(column.style, str) else column.style(value)
            cells.append(Text(printable(column.show(value)), style=style, no_wrap=True, overflow="ellipsis"))
        table.add_row(*cells)
    return table


def _aligned(rows: Sequence[T], columns: Sequence[Column[T]]) -> Iterable[str]:
    texts = [[column.title.upper() for column in columns]]
    texts += [[printable(column.show(column.value(row))) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for cells in texts:
        line = [
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, width, column in zip(cells, widths, columns, strict=True)
        ]
        yield "  ".join(line).rstrip()


def show_fields(title: str, fields: Iterable[tuple[str, str] | None]) -> None:
    """Print what there is to say about one thing: labels on the left, a field that is ``None`` left out."""
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
