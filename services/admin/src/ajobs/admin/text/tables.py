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


GAP = 2
"""Width between two columns."""
LONG_ENOUGH = 16
"""Width of a long column that is kept free for it by leaving other columns out."""
SHORTEST_LONG = 8
"""Width to which a long column is cut before other columns are."""


@dataclass(frozen=True)
class Column(Generic[T]):
    """A column of a table of ``T``."""

    title: str
    value: Callable[[T], Any]
    """Returns the value of a row, which CSV has."""
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
    dropped: int = 0
    """Rank in which it is left out of a terminal that is too narrow: the highest first, 0 never."""


def show_csv(rows: Iterable[T], columns: Sequence[Column[T]]) -> None:
    """Print rows as comma-separated values, below a line of titles."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([column.title.lower().replace(" ", "_") for column in columns])
    for row in rows:
        writer.writerow([_cell(column.value(row)) for column in columns])


def _cell(value: Any) -> Any:
    """Return a value for CSV. A spreadsheet would run a text that starts as a formula does."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


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
    rows = list(rows)
    # The frame is a line, next to the gap, on both sides of each column.
    gap, edge = (GAP, 0) if is_narrow else (GAP + 1, 1)
    widths = fitting(rows, columns, console().width - edge, gap)
    for column, width in widths.items():
        table.add_column(
            column.title, justify="right" if column.right else "left", overflow="ellipsis", no_wrap=True, width=width
        )
    for row in rows:
        cells: list[Text] = []
        for column in widths:
            value = column.value(row)
            style = column.style if isinstance(column.style, str) else column.style(value)
            cells.append(Text(printable(column.show(value)), style=style, no_wrap=True, overflow="ellipsis"))
        table.add_row(*cells)
    return table


def fitting(rows: Sequence[T], columns: Sequence[Column[T]], room: int, gap: int = GAP) -> dict[Column[T], int]:
    """Return the columns of a table that is at most ``room`` wide, with their widths.

    Columns that may be left out are left out, the highest rank first, until the others fit. Long columns take the rest
    of the room. If that is not enough, the widest columns are cut.
    """
    natural = {column: _natural(rows, column) for column in columns}
    widths = {
        column: min(width, max(LONG_ENOUGH, len(column.title))) if column.is_long else width
        for column, width in natural.items()
    }

    def left() -> int:
        return room - sum(widths.values()) - gap * len(widths)

    for column in sorted((each for each in columns if each.dropped), key=lambda each: -each.dropped):
        if left() >= 0:
            break
        del widths[column]
    for column, width in list(widths.items()):
        if column.is_long:
            widths[column] = width + max(0, min(left(), natural[column] - width))
    while left() < 0 and any(width > column.narrowest for column, width in widths.items()):
        # Long columns are cut before others, and wide ones before narrow ones.
        widest = max(
            (column for column, width in widths.items() if width > column.narrowest),
            key=lambda column: (column.is_long and widths[column] > SHORTEST_LONG, widths[column]),
        )
        widths[widest] -= 1
    return widths


def _natural(rows: Sequence[T], column: Column[T]) -> int:
    from rich.cells import cell_len  # slow to import, and not needed when piped

    return max(cell_len(column.title), *(cell_len(printable(column.show(column.value(row)))) for row in rows), 1)


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
