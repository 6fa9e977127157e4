"""The screen of ``ajc top``: a pure function of the view, the choices and the size of the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from rich.text import Text

from ajobs.admin.text.human import count_text, duration_text, plural
from ajobs.admin.text.printing import STATE_STYLES, printable
from ajobs.admin.top.model import QueueRow, TypeRow, View
from ajobs.admin.top.tables import Cell, Column, Row, allot, sized, sparkline, table
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import InvalidTimestampError
from ajobs.protocol.presence import WorkerPresence
from ajobs.protocol.subjects import SCHEDULER_ELECTION
from ajobs.protocol.timestamps import parse_timestamp

WIDE = 120
"""Width in cells from which on more columns are shown."""
TALL = 32
"""Height in lines from which on sections are separated by empty lines."""
SHARES = (4, 3, 3, 3)
"""Weights with which sections share the lines if there are too few."""

QUEUE_SORTS: dict[str, Callable[[QueueRow], Any]] = {
    "items": lambda row: -row.queue.items,
    "rate": lambda row: -(row.rates.completed + row.rates.enqueued),
    "failures": lambda row: -row.rates.failed,
    "oldest": lambda row: -(row.queue.oldest_s or 0.0),
    "name": lambda _: 0,
}
TYPE_SORTS: dict[str, Callable[[TypeRow], Any]] = {
    "slowest": lambda row: -(row.p95_s or 0.0),
    "failing": lambda row: (-row.failed_share, -row.failed),
    "busiest": lambda row: -(row.completed + row.failed),
}


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """The choices of the user."""

    queue_sort: str = "items"
    type_sort: str = "slowest"
    queue: str | None = None
    """The one queue to show, or all."""
    paused: bool = False


def picture(view: View, choices: Choices, width: int, height: int, now_ns: int) -> list[Text]:
    """Return exactly ``height`` lines of ``width`` cells."""
    head, foot = _head(view, choices, width, now_ns), _keys(choices, width)
    sections = _sections(view, choices, width)
    apart = 1 if height >= TALL else 0
    room = height - len(head) - 1 - len(sections) * (1 + apart)
    shares = allot([len(rows) for _, rows in sections], SHARES, max(0, room))
    lines = head
    for (columns, rows), share in zip(sections, shares, strict=True):
        if apart:
            lines.append(Text())
        lines += table(columns, _shortened(rows, share), width)
    lines = lines[: height - 1]
    lines += [Text()] * (height - 1 - len(lines))
    return [*lines, foot]


def snapshot(view: View, choices: Choices, now_ns: int, width: int | None = None) -> list[Text]:
    """Return the same without the line of keys, as high as needed, and as wide as needed without a width."""
    lines = _head(view, choices, width, now_ns)
    for columns, rows in _sections(view, choices, width):
        lines += [Text(), *table(columns, rows, width)]
    return lines


def _shortened(rows: Sequence[Row], share: int) -> Sequence[Row]:
    if len(rows) <= share or share < 2:
        return rows[:share]
    more = len(rows) - share + 1
    return [*rows[: share - 1], [Cell(f"… {more} more", "dim"), *[""] * (len(rows[0]) - 1)]]


Section = tuple[tuple[Column, ...], list[Row]]


def _sections(view: View, choices: Choices, width: int | None) -> list[Section]:
    wide = width is None or width >= WIDE
    queues, types = _queues(view, choices, wide=wide), _types(view, choices, wide=wide)
    return [queues, _workers(view), types, _failures(view, wide=wide)]


# ---- head and foot


def _head(view: View, choices: Choices, width: int | None, now_ns: int) -> list[Text]:
    poll = view.poll
    slots = sum(worker.concurrency for worker in poll.workers)
    busy = sum(worker.running_count for worker in poll.workers)
    leader = poll.leaders.get(SCHEDULER_ELECTION, "")
    title = f"ajobs  {poll.server or 'connecting'}  nats-server {poll.version or '?'}"
    status, style = _status(view, choices)
    second = (
        f"{plural(poll.tasks, 'task')}  {plural(sum(row.queue.items for row in view.queues), 'item')}  "
        f"{plural(len(poll.workers), 'worker')}, {busy}/{slots} busy  scheduler: {printable(leader) or 'no leader'}"
    )
    if width is None:
        return [Text(title), Text(f"{second}  {status}".rstrip()), _rates(view, 60)]
    clock = _clock(now_ns)
    first = Text(sized(printable(title), max(0, width - len(clock) - 1)), "bold")
    first.append(f" {clock}")
    line = Text(sized(second, width))
    if status:
        line = Text(sized(status, width), style)
    return [first, line, _rates(view, max(4, (width - 3 * 18) // 3))]


def _status(view: View, choices: Choices) -> tuple[str, str]:
    if not view.connected:
        return f"disconnected, reconnecting; shown values are {view.stale_s:.0f} s old", "bold white on red"
    if view.problem:
        return f"{printable(view.problem)}; shown values are {view.stale_s:.0f} s old", "bold white on red"
    if choices.paused:
        return "paused: press p to continue", "bold black on yellow"
    return "", ""


def _rates(view: View, width: int) -> Text:
    rates = view.rates
    line = Text(no_wrap=True, overflow="crop")
    for name, rate, series, style in (
        ("in", rates.enqueued, rates.enqueued_series, "cyan"),
        ("out", rates.completed, rates.completed_series, "green"),
        ("failed", rates.failed, rates.failed_series, "red"),
    ):
        line.append(f"{name} {_rate(rate)}/s ".rjust(17), "bold")
        line.append(sparkline(series, width), style)
        line.append(" ")
    return line


def _keys(choices: Choices, width: int) -> Text:
    text = (
        f"q quit  p {'continue' if choices.paused else 'pause'}  s sort queues: {choices.queue_sort}  "
        f"t types: {choices.type_sort}  f queue: {choices.queue or 'all'}"
    )
    return Text(sized(text, width), "reverse", no_wrap=True, end="")


# ---- sections


def _queues(view: View, choices: Choices, *, wide: bool) -> Section:
    columns = [
        Column("QUEUE", 0, right=False, style="bold"), Column("ITEMS", 8), Column("WAITING", 8), Column("RUN", 5),
        Column("OLDEST", 7), Column("IN/S", 6), Column("OUT/S", 6), Column("FAIL/S", 6),
        Column("", 9, right=False, style="bold yellow"),
    ]  # fmt: skip
    if wide:
        columns.append(Column("OUT, LAST 30 S", 30, style="green"))
    rows: list[Row] = []
    working = {queue.name for worker in view.poll.workers for queue in worker.queues}
    for row in sorted(view.queues, key=lambda row: (QUEUE_SORTS[choices.queue_sort](row), row.queue.name)):
        queue, rates = row.queue, row.rates
        cells: list[str | Cell] = [
            queue.name, count_text(queue.items), count_text(queue.waiting), count_text(queue.in_progress),
            "-" if queue.oldest_s is None else _seconds(queue.oldest_s), _rate(rates.enqueued), _rate(rates.completed),
            Cell(_rate(rates.failed), "red" if rates.failed else ""), _state(row, working),
        ]  # fmt: skip
        if wide:
            cells.append(sparkline(rates.completed_series, 30))
        rows.append(cells)
    return tuple(columns), rows or [_nothing("no queues", len(columns))]


def _state(row: QueueRow, working: set[str]) -> str:
    if row.queue.paused:
        return "paused"
    idle = row.queue.items and not row.queue.pulls and not row.queue.in_progress
    return "no worker" if idle and row.queue.name not in working else ""


def _workers(view: View) -> Section:
    columns = (
        Column("WORKER", 0, right=False, style="bold"), Column("STATE", 8, right=False), Column("BUSY", 9),
        Column("QUEUES", 14, right=False), Column("LONGEST RUNNING", 0, right=False),
    )  # fmt: skip
    rows: list[Row] = [
        [
            printable(worker.name), Cell(worker.state, "" if worker.state == "running" else "yellow"),
            f"{worker.running_count}/{worker.concurrency}", " ".join(queue.name for queue in worker.queues),
            _longest(worker),
        ]
        for worker in sorted(view.poll.workers, key=lambda worker: (-worker.running_count, worker.name))
    ]  # fmt: skip
    return columns, rows or [_nothing("no workers", len(columns))]


def _longest(worker: WorkerPresence) -> str:
    # The run time when the worker announced itself: the task may have ended since.
    said_ns = _ns_of(worker.updated) or 0
    started = sorted((_ns_of(task.started) or said_ns, task.type) for task in worker.running)
    if not started:
        return "-"
    return f"{_seconds((said_ns - started[0][0]) / SECOND_NS)} {printable(started[0][1])}"


def _types(view: View, choices: Choices, *, wide: bool) -> Section:
    columns = [
        Column("TASK TYPE", 0, right=False, style="bold"), Column("QUEUE", 12, right=False), Column("OUT/S", 6),
        Column("FAILED", 7), Column("FAIL%", 5), Column("P50", 6), Column("P95", 6), Column("MAX", 6),
    ]  # fmt: skip
    if wide:
        columns.insert(3, Column("DONE, 5 M", 10))
    rows: list[Row] = []
    for row in sorted(view.types, key=lambda row: (TYPE_SORTS[choices.type_sort](row), row.task_type, row.queue)):
        style = "red" if row.failed else ""
        cells: list[str | Cell] = [
            printable(row.task_type), printable(row.queue), _rate(row.per_second),
            Cell(count_text(row.failed), style), Cell(f"{row.failed_share:.0%}", style),
            *("-" if span is None else _seconds(span) for span in (row.p50_s, row.p95_s, row.longest_s)),
        ]  # fmt: skip
        if wide:
            cells.insert(3, count_text(row.completed))
        rows.append(cells)
    return tuple(columns), rows or [_nothing("no task has ended yet", len(columns))]


def _failures(view: View, *, wide: bool) -> Section:
    columns = [
        Column("FAILED AT", 9, right=False), Column("TASK TYPE", 16, right=False, style="bold"),
        Column("STATE", 11, right=False), Column("TRY", 3), Column("ERROR", 0, right=False),
    ]  # fmt: skip
    if wide:
        columns[1:1] = [Column("TASK", 27, right=False), Column("QUEUE", 12, right=False)]
    rows: list[Row] = []
    for failure in view.failures:
        cells: list[str | Cell] = [
            _clock(_ns_of(failure.timestamp) or 0), printable(failure.task_type),
            Cell(failure.state, STATE_STYLES.get(failure.state, "")), str(failure.tries), printable(failure.error),
        ]  # fmt: skip
        if wide:
            cells[1:1] = [printable(failure.task_id), printable(failure.queue)]
        rows.append(cells)
    return tuple(columns), rows or [_nothing("none", len(columns))]


def _nothing(text: str, columns: int) -> Row:
    return [Cell(text, "dim"), *[""] * (columns - 1)]


# ---- texts


def _rate(rate: float) -> str:
    if rate >= 100_000:
        return f"{rate / 1_000:.0f}k"
    return f"{rate:.0f}" if rate >= 100 else f"{rate:.1f}"


def _seconds(seconds: float) -> str:
    return duration_text(max(0, int(seconds * SECOND_NS)))


def _ns_of(timestamp: str) -> int | None:
    try:
        return parse_timestamp(timestamp)
    except InvalidTimestampError:
        return None


def _clock(unix_ns: int) -> str:
    import time  # converts a time; does not read the clock

    return time.strftime("%H:%M:%S", time.localtime(unix_ns // SECOND_NS))
