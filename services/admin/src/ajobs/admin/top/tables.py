"""Rows of text in columns that fit a given width exactly, and bar charts of one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text

BARS = "▁▂▃▄▅▆▇█"


class Column(NamedTuple):
    """A column: its title, its width in cells, and its style."""

    title: str
    width: int
    """0: the remaining width, shared with other such columns."""
    right: bool = True
    style: str = ""


class Cell(NamedTuple):
    """A text with its own style."""

    text: str
    style: str


Row = Sequence[str | Cell]


def fit(columns: Sequence[Column], rows: Sequence[Row], width: int | None) -> list[int]:
    """Return the width of each column, with a space between columns; without a width, that of its longest text."""
    if width is None:
        texts = [[column.title for column in columns], *([_text(cell) for cell in row] for row in rows)]
        return [max(cell_len(row[index]) for row in texts) for index in range(len(columns))]
    flexible = sum(1 for column in columns if not column.width)
    left = max(0, width - sum(column.width for column in columns) - len(columns) + 1)
    each, more = divmod(left, max(1, flexible))
    widths: list[int] = []
    for column in columns:
        extra = 0
        if not column.width and more:
            more, extra = more - 1, 1
        widths.append(column.width or each + extra)
    return widths


def table(columns: Sequence[Column], rows: Sequence[Row], width: int | None) -> list[Text]:
    """Return a line of titles and a line for each row."""
    widths = fit(columns, rows, width)
    lines = [_line([Cell(column.title, "bold reverse") for column in columns], columns, widths, fill="bold reverse")]
    lines += [_line(row, columns, widths) for row in rows]
    return lines


def _line(row: Row, columns: Sequence[Column], widths: Sequence[int], *, fill: str = "") -> Text:
    line = Text(no_wrap=True, overflow="crop", end="")
    for index, (cell, column, width) in enumerate(zip(row, columns, widths, strict=True)):
        if index:
            line.append(" ", fill)
        style = cell.style if isinstance(cell, Cell) else column.style
        line.append(sized(_text(cell), width, right=column.right), style)
    return line


def _text(cell: str | Cell) -> str:
    return cell.text if isinstance(cell, Cell) else cell


def sized(text: str, width: int, *, right: bool = False) -> str:
    """Return a text of exactly ``width`` cells: cut with an ellipsis, or padded with spaces."""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…" if width > 0 else ""
    return " " * (width - length) + text if right else text + " " * (width - length)


def sparkline(counts: Sequence[int], width: int) -> str:
    """Return a bar for each of the last ``width`` counts, scaled to the highest of them."""
    shown = list(counts[-width:]) if width > 0 else []
    most = max(shown, default=0)
    bars = "".join(BARS[0] if not count else BARS[max(1, count * (len(BARS) - 1) // most)] for count in shown)
    return bars.rjust(width)


def allot(wanted: Sequence[int], weights: Sequence[int], rows: int) -> list[int]:
    """Divide rows among sections: one each, then by weight, and never more than a section wants."""
    given = [0] * len(wanted)
    for _ in range(min(rows, sum(wanted))):
        open_ = [index for index, want in enumerate(wanted) if given[index] < want]
        chosen = min(open_, key=lambda index: (given[index] > 0, given[index] / weights[index]))
        given[chosen] += 1
    return given
