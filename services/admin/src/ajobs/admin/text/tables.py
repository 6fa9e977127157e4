"""Tables: framed on a terminal, aligned columns when piped, or comma-separated values."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ajobs.admin.text.printing import console, is_terminal, printable, say

if TYPE_CHECKING:
    from rich.table import Table

T = TypeVar("T")

NARROW = 100
"""Width of a terminal, in columns, below which tables have no frame."""


@dataclass(frozen=True)
class Column(Generic[T]):
    """A column of a table of ``T``."""

    title: str
    value: Callable[[T], Any]
    """Returns the value of a row. CSV has it unchanged."""
    show: Callable[[Any], str] = str
    """Returns the text for people."""
    right: bool = False
    """Whether to align it on the right, as numbers are."""
    style: str | Callable[[Any], str] = ""
    """Style on a terminal, or a function that returns it for a value."""
    is_long: bool = False
    """Whether it takes the remaining width of a terminal, and is cut before the others."""
    narrowest: int = 4
    """Minimum width on a terminal that is too narrow for all columns."""


def show_csv(rows: Iterable[T], columns: Sequence[Column[T]]) -> None:
    """Print rows as comma-separated values, below a line of titles."""
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
        title: Title, shown on a terminal.
        empty: Text that is printed if there are no rows; not in CSV.
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
