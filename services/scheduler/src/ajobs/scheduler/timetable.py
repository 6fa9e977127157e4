"""The next run of each schedule, in a heap by the time it is due, and the runs that were missed.

A *run* is a tick of a schedule together with the time at which its task is due: the tick, or later with jitter.
"""

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
"""Nanoseconds by which a run may be late without counting as missed."""
MOST_SKIPPED = 10
"""Most skipped runs of one schedule to count. Counting all runs of a month would take long."""
SPARE = 64
"""Outdated entries that the heap may hold in addition to one per schedule."""


class Run(NamedTuple):
    """One run of a schedule."""

    due_ns: int
    """When its task is created: the tick plus the jitter."""
    tick_ns: int
    info: ScheduleInfo


class _Line(NamedTuple):
    """A schedule that is neither paused nor broken."""

    info: ScheduleInfo
    recurrence: Recurrence

    def due_ns(self, tick_ns: int) -> int:
        """Return when the run of a tick is due: always before the next tick."""
        jitter = self.info.options.jitter
        if jitter:
            with suppress(InvalidScheduleError):  # the last tick has no next one
                jitter = min(jitter, self.recurrence.next_after(tick_ns) - tick_ns - 1)
        return due_ns(self.info.name, tick_ns, jitter)


class Timetable:
    """All schedules, and the next run of each."""

    def __init__(self) -> None:
        """Start without schedules."""
        self._lines: dict[str, _Line] = {}
        self._known: dict[str, ScheduleInfo] = {}
        self._heap: list[tuple[int, int, str, int]] = []
        self._versions: dict[str, int] = {}
        self._version = 0

    @property
    def schedules(self) -> dict[str, ScheduleInfo]:
        """All schedules by name, including paused and broken ones."""
        return self._known

    def put(self, info: ScheduleInfo, now_ns: int) -> None:
        """Add a schedule, or replace the one with its name. Its runs are those due after ``now_ns``."""
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
        """Remove a schedule, if it exists."""
        self._known.pop(name, None)
        self._lines.pop(name, None)
        self._versions.pop(name, None)  # its entry in the heap is dropped when it reaches the top

    @property
    def next_due_ns(self) -> int | None:
        """When the next run is due; ``None`` without one."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now_ns: int) -> list[Run]:
        """Take the due runs, in order, at most one per schedule. Then call `advance` or `put_back`."""
        due: list[Run] = []
        while self._drop_stale() and self._heap[0][0] <= now_ns:
            due_at, tick_ns, name, _ = heapq.heappop(self._heap)
            due.append(Run(due_at, tick_ns, self._lines[name].info))
        return due

    def advance(self, runs: Iterable[Run]) -> None:
        """Add the next run of each schedule whose run was taken. Call it once their tasks are created."""
        for run in runs:
            line = self._lines.get(run.info.name)
            if line is not None and line.info is run.info:
                self._push(line, run.tick_ns, run.tick_ns)

    def put_back(self, runs: Iterable[Run]) -> None:
        """Put back runs that were taken, but whose tasks were not created."""
        for run in runs:
            line = self._lines.get(run.info.name)
            if line is not None and line.info is run.info:
                heapq.heappush(self._heap, (run.due_ns, run.tick_ns, run.info.name, self._versions[run.info.name]))

    def restart(self, now_ns: int) -> None:
        """Start again at a time, which may be earlier: with all runs after it."""
        self._heap.clear()
        for line in self._lines.values():
            self._push(line, now_ns - line.info.options.jitter, now_ns)

    def skip_to(self, now_ns: int) -> None:
        """Skip all runs up to a time."""
        while self._drop_stale() and self._heap[0][0] <= now_ns:
            _, tick_ns, name, _ = heapq.heappop(self._heap)
            line = self._lines[name]
            self._push(line, max(tick_ns, now_ns - line.info.options.jitter), now_ns)

    def missed(self, after_ns: int, until_ns: int) -> tuple[list[Run], list[Run]]:
        """Return the runs that were due between two times, in order: those to catch up on, and those to skip."""
        found = [self.missed_of(name, after_ns, until_ns) for name in self._lines]
        caught_up = [run for runs, _ in found for run in runs]
        skipped = [run for _, runs in found for run in runs]
        return sorted(caught_up, key=order), sorted(skipped, key=order)

    def missed_of(self, name: str, after_ns: int, until_ns: int) -> tuple[list[Run], list[Run]]:
        """Return the missed runs of one schedule: those to catch up on, and the last `MOST_SKIPPED` of those to skip.

        A month takes no longer than a minute.
        """
        line = self._lines.get(name)
        if line is None:
            return [], []
        info = line.info
        since_ns = parse_timestamp(info.since)
        after_ns = max(after_ns, since_ns)
        wanted_ticks = _limit(info) + MOST_SKIPPED + LATE_NS // SECOND_NS + 1
        ticks = latest_ticks(line.recurrence, max(after_ns - info.options.jitter, since_ns), until_ns, wanted_ticks)
        runs = [Run(line.due_ns(tick_ns), tick_ns, info) for tick_ns in ticks]
        runs = [run for run in runs if after_ns < run.due_ns <= until_ns]
        late = sum(run.due_ns > until_ns - LATE_NS for run in runs)
        first = len(runs) - min(len(runs), max(late, _limit(info)))
        return runs[first:], runs[max(0, first - MOST_SKIPPED) : first]

    def _push(self, line: _Line, after_ns: int, due_after_ns: int) -> None:
        """Add the next run to the heap: the first whose tick is after one time and which is due after another."""
        name = line.info.name
        tick_ns = max(after_ns, parse_timestamp(line.info.since))
        try:
            while True:
                tick_ns = line.recurrence.next_after(tick_ns)
                due = line.due_ns(tick_ns)
                if due > due_after_ns:
                    break
        except InvalidScheduleError:
            return  # the schedule has ended
        heapq.heappush(self._heap, (due, tick_ns, name, self._versions[name]))

    def _drop_stale(self) -> bool:
        """Drop outdated entries from the top of the heap; return whether any entry is left."""
        while self._heap and self._versions.get(self._heap[0][2]) != self._heap[0][3]:
            heapq.heappop(self._heap)
        return bool(self._heap)


def order(run: Run) -> tuple[int, str]:
    """Return the sort key of a run."""
    return run.due_ns, run.info.name


def _limit(info: ScheduleInfo) -> int:
    """Return the largest number of missed runs to catch up on."""
    match info.options.catch_up:
        case CatchUp.NONE:
            return 0
        case CatchUp.LAST:
            return 1
        case CatchUp.ALL:
            return info.options.catch_up_limit
