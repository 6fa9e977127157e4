"""Which runs are due: a heap of the next run of each schedule; and which were missed."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from ajobs.client.schedules.cron import Recurrence, latest_ticks, recurrence_of
from ajobs.client.schedules.schedules import ScheduleInfo
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import InvalidScheduleError
from ajobs.protocol.schedule import CatchUp, due_ns
from ajobs.protocol.timestamps import parse_timestamp

LATE_NS = 2 * SECOND_NS
"""How late a run may be and still be made, whatever its schedule says of those that were missed."""
MOST_DROPPED = 10
"""Runs of one schedule that are counted when they are let go: counting all of a month would take long."""
SPARE = 64
"""Entries of the heap that may be out of date besides as many as there are schedules."""


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

    def due_ns(self, tick_ns: int) -> int:
        """Return when the run of a tick is due, which is before the next tick."""
        jitter = self.info.options.jitter
        if jitter:
            with suppress(InvalidScheduleError):  # there is no next tick
                jitter = min(jitter, self.recurrence.next_after(tick_ns) - tick_ns - 1)
        return due_ns(self.info.name, tick_ns, jitter)


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
        self._push(line, now_ns - info.options.jitter, now_ns)
        if len(self._heap) > 2 * len(self._lines) + SPARE:
            self._heap = [entry for entry in self._heap if self._versions.get(entry[2]) == entry[3]]
            heapq.heapify(self._heap)

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
                self._push(line, run.tick_ns, run.tick_ns)

    def put_back(self, runs: Iterable[Run]) -> None:
        """Have runs that were taken and not made due again."""
        for run in runs:
            line = self._lines.get(run.info.name)
            if line is not None and line.info is run.info:
                heapq.heappush(self._heap, (run.due_ns, run.tick_ns, run.info.name, self._versions[run.info.name]))

    def restart(self, now_ns: int) -> None:
        """Begin anew at a time, an earlier one maybe: all runs after it."""
        self._heap.clear()
        for line in self._lines.values():
            self._push(line, now_ns - line.info.options.jitter, now_ns)

    def skip_to(self, now_ns: int) -> None:
        """Pass over all runs up to a time."""
        while self._drop_stale() and self._heap[0][0] <= now_ns:
            _, tick_ns, name, _ = heapq.heappop(self._heap)
            line = self._lines[name]
            self._push(line, max(tick_ns, now_ns - line.info.options.jitter), now_ns)

    def missed(self, after_ns: int, until_ns: int) -> tuple[list[Run], list[Run]]:
        """Return the runs that were due between two times: those to make up for, and those to let go, both in order."""
        found = [self.missed_of(name, after_ns, until_ns) for name in self._lines]
        wanted = [run for runs, _ in found for run in runs]
        dropped = [run for _, runs in found for run in runs]
        return sorted(wanted, key=order), sorted(dropped, key=order)

    def missed_of(self, name: str, after_ns: int, until_ns: int) -> tuple[list[Run], list[Run]]:
        """Return the same of one schedule; of those to let go the last `MOST_DROPPED` at the most.

        It takes no longer after a month than after a minute.
        """
        line = self._lines.get(name)
        if line is None:
            return [], []
        info = line.info
        after_ns = max(after_ns, parse_timestamp(info.since))
        looked_at = _limit(info) + MOST_DROPPED + LATE_NS // SECOND_NS + 1
        ticks = latest_ticks(
            line.recurrence, max(after_ns - info.options.jitter, parse_timestamp(info.since)), until_ns, looked_at
        )
        runs = [Run(line.due_ns(tick_ns), tick_ns, info) for tick_ns in ticks]
        runs = [run for run in runs if after_ns < run.due_ns <= until_ns]
        late = sum(run.due_ns > until_ns - LATE_NS for run in runs)
        first = len(runs) - min(len(runs), max(late, _limit(info)))
        return runs[first:], runs[max(0, first - MOST_DROPPED) : first]

    def _push(self, line: _Line, after_ns: int, due_after_ns: int) -> None:
        """Put the next run into the heap: of a tick after one time, and due after another."""
        name = line.info.name
        tick_ns = max(after_ns, parse_timestamp(line.info.since))
        try:
            while True:
                tick_ns = line.recurrence.next_after(tick_ns)
                due = line.due_ns(tick_ns)
                if due > due_after_ns:
                    break
        except InvalidScheduleError:
            return  # it has no more runs
        heapq.heappush(self._heap, (due, tick_ns, name, self._versions[name]))

    def _drop_stale(self) -> bool:
        """Drop what is at the top of the heap and was replaced since; tell whether anything is left."""
        while self._heap and self._versions.get(self._heap[0][2]) != self._heap[0][3]:
            heapq.heappop(self._heap)
        return bool(self._heap)


def order(run: Run) -> tuple[int, str]:
    """Return what runs are sorted by."""
    return run.due_ns, run.info.name


def _limit(info: ScheduleInfo) -> int:
    """Return how many missed runs are made up for at the most."""
    match info.options.catch_up:
        case CatchUp.NONE:
            return 0
        case CatchUp.LAST:
            return 1
        case CatchUp.ALL:
            return info.options.catch_up_limit
