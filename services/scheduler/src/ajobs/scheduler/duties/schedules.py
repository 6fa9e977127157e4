"""The duty to create one task for each tick of each schedule.

The leader stores how far it got (`ajobs.scheduler.duties.progress`). A new leader continues from there: it catches up
on missed ticks as each schedule asks, then creates tasks as they become due.

A leader may die between creating a task and storing its progress, and its successor then handles the same tick again.
Both derive the same task id from the schedule and the tick, so the task exists once: see `ajobs.scheduler.runs`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from ajobs.client.identifiers import new_id
from ajobs.protocol.codec import encode
from ajobs.protocol.durations import SECOND_NS, format_duration
from ajobs.protocol.errors import UnavailableError
from ajobs.protocol.events import leader_event
from ajobs.protocol.subjects import SCHEDULER_ELECTION, leader_subject
from ajobs.scheduler import metrics
from ajobs.scheduler.clock import WallClock, believable, stood_still
from ajobs.scheduler.duties.changes import Changes
from ajobs.scheduler.duties.duty import Leads
from ajobs.scheduler.duties.progress import ProgressLostError, ProgressRecord
from ajobs.scheduler.election import Election
from ajobs.scheduler.runs import create_tasks
from ajobs.scheduler.timetable import Run, Timetable, order

if TYPE_CHECKING:
    from ajobs.client.client import Client

CREATE_AT_ONCE = 1_000
"""Tasks to create before leadership is checked again."""
CHECK_S = 1.0
"""Longest pause in seconds. The clock may have been set meanwhile."""
RETRY_S = 0.2
"""Seconds until the next attempt when the server does not answer."""
STRETCH_S = 0.02
"""Seconds of computing after which other coroutines may run: the campaign and health checks."""
PROGRESS_S = 30.0
"""Seconds after which progress is stored although no tick was due."""


class Schedules:
    """Creates tasks from schedules while leading."""

    name = "schedules"

    def __init__(self, client: Client, election: Election, logger: logging.Logger) -> None:
        """Prepare the duty; see `run`.

        Args:
            client: Reads schedules and creates tasks.
            election: Wakes the duty when its standing changes.
            logger: Logs what happens to schedules.
        """
        self._client = client
        self._election = election
        self._logger = logger
        self._clock = WallClock()
        self._progress = ProgressRecord(client, election.name)
        self._wake = election.changed
        self._stop = asyncio.Event()
        self.timetable = Timetable()
        self.changes = Changes(client, self.timetable, self._wake.set, logger)
        self.active = False
        """Whether it has taken over and handles ticks. Leadership comes first, and can end before this does."""
        self._done_ns = 0
        self._stored_ns = 0

    @property
    def loaded(self) -> bool:
        """Whether all schedules were read once."""
        return self.changes.loaded

    def stop(self) -> None:
        """Finish the tasks that are being created, and let `run` return."""
        self._stop.set()
        self._wake.set()

    async def run(self, leads: Leads) -> None:
        """Create tasks while leading, until `stop` is called."""
        metrics.PAUSED.set(1)
        try:
            async with self.changes.watched():
                while not self._stop.is_set():
                    try:
                        await self._step(leads)
                    except UnavailableError as e:
                        self._logger.warning("NATS is unavailable, retrying: %s", e)
                        await self._sleep(RETRY_S)
        finally:
            metrics.PAUSED.set(1)

    # ---- one round

    async def _step(self, leads: Leads) -> None:
        self._check_clock()
        # Earlier ticks are handled by the leader, or caught up on when this scheduler takes over.
        await self.changes.read(self._done_ns if self.active else self._clock.now_ns())
        if leads():
            if not self.active:
                await self._take_over(leads)
            await self._create_due(leads)
        elif self.active:
            self._step_down()
        else:
            self.timetable.skip_to(self._clock.now_ns())
        await self._sleep(self._pause_s())

    def _check_clock(self) -> None:
        back_ns = self._clock.check()
        if self._clock.begins_to_wait():
            text = "the clock was set back by %s: no tick is due until it shows again what it had shown"
            self._logger.warning(text, format_duration(self._clock.waits_ns))
        if back_ns:
            self._logger.warning("the clock was set back by %s: continuing from its time", format_duration(back_ns))
            self.timetable.restart(self._clock.now_ns())
            self.active = False

    def _pause_s(self) -> float:
        due_ns = self.timetable.next_due_ns
        until_due_s = CHECK_S if due_ns is None else (due_ns - self._clock.now_ns()) / SECOND_NS
        return min(max(0.0, until_due_s), CHECK_S)

    async def _sleep(self, seconds: float) -> None:
        """Wait for a time, or until a schedule changes, the election changes or `stop` is called."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()

    # ---- leading

    async def _take_over(self, leads: Leads) -> None:
        """Continue from where the last leader stopped."""
        stored_ns = await self._progress.load()
        now_ns = self._clock.now_ns()
        done_ns = now_ns if stored_ns is None else believable(stored_ns, now_ns)
        wanted, skipped = await self._missed(done_ns, now_ns)
        self._logger.info(
            "leading: %d schedules, catching up %d missed ticks, skipping at least %d",
            len(self.timetable.schedules), len(wanted), skipped,
        )  # fmt: skip
        if not await self.create(wanted, leads):
            return
        # The clock of another leader, or ours before it was set, may have been ahead of ours.
        self._done_ns = max(done_ns, now_ns)
        self.timetable.skip_to(self._done_ns)
        self.active = True
        await self._store_progress()
        if not self.active:
            return
        self._election.foreign.forget()
        metrics.PAUSED.set(0)
        await self._announce()

    async def _missed(self, done_ns: int, now_ns: int) -> tuple[list[Run], int]:
        """Return the missed runs to catch up on, in order, and the number of those to skip."""
        wanted: list[Run] = []
        count = 0
        pause_at = time.monotonic() + STRETCH_S
        for name in list(self.timetable.schedules):
            caught_up, skipped = map(self._not_handled, self.timetable.missed_of(name, done_ns, now_ns))
            wanted += caught_up
            count += len(skipped)
            for run in skipped:
                metrics.MISSED.labels(run.info.schedule.task_type, run.info.schedule.queue).inc()
            if time.monotonic() > pause_at:
                await asyncio.sleep(0)
                pause_at = time.monotonic() + STRETCH_S
        return sorted(wanted, key=order), count

    def _not_handled(self, runs: Sequence[Run]) -> list[Run]:
        """Return the runs without those that a scheduler of Choria Async Jobs has handled."""
        return [run for run in runs if not self._election.foreign.cover(run.tick_ns)]

    async def _announce(self) -> None:
        event = leader_event(self._election.name, SCHEDULER_ELECTION, event_id=new_id())
        await self._client.storage.publish(leader_subject(SCHEDULER_ELECTION), encode(event))

    def _step_down(self) -> None:
        self.active = False
        metrics.PAUSED.set(1)
        self._logger.info("lost leadership, standing by")

    async def _create_due(self, leads: Leads) -> None:
        now_ns = self._clock.now_ns()
        if stood_still(self._done_ns, now_ns):
            self.active = False  # the next round takes over again, and treats the ticks since then as missed
            return
        due = self.timetable.pop_due(now_ns)
        try:
            created = await self.create(due, leads)
        except BaseException:
            # Some tasks may exist. The next attempt finds them by their ids.
            self.timetable.put_back(due)
            raise
        if not created:
            self.timetable.put_back(due)
            self._step_down()
            return
        self.timetable.advance(due)
        next_due_ns = self.timetable.next_due_ns
        done_ns = now_ns if next_due_ns is None else min(now_ns, next_due_ns - 1)
        self._done_ns = max(self._done_ns, done_ns)
        if due or now_ns - self._stored_ns > PROGRESS_S * SECOND_NS:
            await self._store_progress()

    async def create(self, runs: Sequence[Run], leads: Leads) -> bool:
        """Create the tasks of runs in batches; return whether all were created before leadership ended or a stop.

        Raises:
            UnavailableError: The server did not answer.
        """
        for start in range(0, len(runs), CREATE_AT_ONCE):
            if self._stop.is_set() or not leads():
                return False
            await create_tasks(self._client, runs[start : start + CREATE_AT_ONCE], self._logger)
        return True

    async def _store_progress(self) -> None:
        try:
            await self._progress.save(self._done_ns)
        except ProgressLostError:
            self._logger.warning("another leader was active: taking over again from its progress")
            self.active = False
            return
        self._stored_ns = self._done_ns
