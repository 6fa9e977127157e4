"""Which runs are due: a heap of the next run of each schedule; and which were missed."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from asyncjobs.client.cron import Recurrence, recurrence_of
from asyncjobs.client.schedules import ScheduleInfo
from asyncjobs.protocol.errors import InvalidScheduleError
from asyncjobs.protocol.schedule import CatchUp, due_ns

MOST_MISSED = 100_000
"""Ticks of one schedule that are looked at for those that were missed, the oldest: beyond that, too long ago."""


class Run(NamedTuple):
    """One run of a schedule."""

    due_ns: int
    """When its task is made: the tick, and the jitter if there is any."""
    tick_ns: int
    info: ScheduleInfo


class _Line(NamedTuple):
    """A schedule that has a next run."""

    info: ScheduleInfo
    recurrence: Recurrence


class Timetable:
    """The schedules, and the next run of each."""

    def __init__(self) -> None:
        """Begin without schedules."""
        self._lines: dict[str, _Line] = {}
        self._known: dict[str, ScheduleInfo] = {}
        self._heap: list[tuple[int, int, str, int]] = []
        self._versions: dict[str, int] = {}
        self._version = 0

    @property
    def schedules(self) -> dict[str, ScheduleInfo]:
        """All schedules by name, those too that are paused or broken."""
        return self._known

    def put(self, info: ScheduleInfo, now_ns: int) -> None:
        """Take a schedule, in place of the one by that name if there is one: it has runs after ``now_ns``."""
        self.remove(info.name)
        self._known[info.name] = info
        if info.problem is not None or info.options.paused:
            return
        line = _Line(info, recurrence_of(info.schedule))
        self._lines[info.name] = line
        self._version += 1
        self._versions[info.name] = self._version
        self._push(line, now_ns)

    def remove(self, name: str) -> None:
        """Forget a schedule, if it is there."""
        self._known.pop(name, None)
        self._lines.pop(name, None)
        self._versions.pop(name, None)  # what is in the heap is passed over when its time comes

    @property
    def next_due_ns(self) -> int | None:
        """When the next run is due, if any is."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now_ns: int) -> list[Run]:
        """Take the runs that are due, in order, one of each schedule at the most; see `advance`."""
        due: list[Run] = []
        while self._drop_stale() and self._heap[0][0] <= now_ns:
            due_at, tick_ns, name, _ = heapq.heappop(self._heap)
            due.append(Run(due_at, tick_ns, self._lines[name].info))
        return due

    def advance(self, runs: Iterable[Run]) -> None:
        """Put the next run of each schedule into the place of those that were taken; not before they are made."""
        for run in runs:
            line = self._lines.get(run.info.name)
            if line is not None and line.info is run.info:
                self._push(line, run.tick_ns)

    def skip_to(self, now_ns: int) -> None:
        """Pass over all runs up to a time."""
        while self._drop_stale() and self._heap[0][0] <= now_ns:
            _, tick_ns, name, _ = heapq.heappop(self._heap)
            self._push(self._lines[name], max(tick_ns, now_ns - self._lines[name].info.options.jitter))

    def missed(self, after_ns: int, until_ns: int) -> tuple[list[Run], list[Run]]:
        """Return the runs that were due between two times: those to make up for, and those to let go, both in order."""
        wanted: list[Run] = []
        dropped: list[Run] = []
        for line in self._lines.values():
            runs = list(_between(line, max(after_ns, line.info.since_ns), until_ns))
            keep = _kept(line.info, len(runs))
            dropped += runs[: len(runs) - keep]
            wanted += runs[len(runs) - keep :]
        return sorted(wanted, key=_order), sorted(dropped, key=_order)

    def _push(self, line: _Line, after_ns: int) -> None:
        name = line.info.name
        after_ns = max(after_ns, line.info.since_ns)
        try:
            tick_ns = line.recurrence.next_after(after_ns)
        except InvalidScheduleError:
            return  # it has no more runs
        due = due_ns(name, tick_ns, line.info.options.jitter)
        heapq.heappush(self._heap, (due, tick_ns, name, self._versions[name]))

    def _drop_stale(self) -> bool:
        """Drop what is at the top of the heap and was replaced since; tell whether anything is left."""
        while self._heap and self._versions.get(self._heap[0][2]) != self._heap[0][3]:
            heapq.heappop(self._heap)
        return bool(self._heap)


def _order(run: Run) -> tuple[int, str]:
    return run.due_ns, run.info.name


def _kept(info: ScheduleInfo, missed: int) -> int:
    match info.options.catch_up:
        case CatchUp.NONE:
            return 0
        case CatchUp.LAST:
            return min(1, missed)
        case CatchUp.ALL:
            return min(info.options.catch_up_limit, missed)


def _between(line: _Line, after_ns: int, until_ns: int) -> Iterator[Run]:
    """Yield the runs of a schedule that were due between two times."""
    jitter = line.info.options.jitter
    found: deque[Run] = deque(maxlen=MOST_MISSED)
    tick_ns = max(after_ns - jitter, line.info.since_ns)
    while True:
        try:
            tick_ns = line.recurrence.next_after(tick_ns)
        except InvalidScheduleError:
            break
        if tick_ns > until_ns:
            break
        due = due_ns(line.info.name, tick_ns, jitter)
        if after_ns < due <= until_ns:
            found.append(Run(due, tick_ns, line.info))
    yield from found
