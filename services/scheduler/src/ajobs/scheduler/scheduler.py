"""The scheduler: whoever leads makes a task for each run of each schedule.

How far the leader came is one time in the configuration bucket: all runs that were due up to then are dealt with. It is
written after the runs, by a compare-and-set, so that a leader that was deposed without knowing it cannot set it back. A
new leader goes on from there: it makes up for what was missed as each schedule wants it, and then for what is due.

A run that is made twice, because a leader died between making it and writing so, is made by the same id: see
`ajobs.scheduler.runs`.

Ticks are times of the wall clock. When it is set forward, or stands still with the process, what was due meanwhile was
missed. When it is set back by up to `SET_BACK_S`, nothing is due until it shows again what it had shown, so that
nothing is made twice; when it is set back further, it was wrong before, and what it shows now counts at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import msgspec

from ajobs.client.identifiers import new_id
from ajobs.client.maintenance.janitor import Janitor
from ajobs.client.schedules.schedules import ScheduleInfo
from ajobs.client.storage.jetstream.buckets import Entry, RevisionError
from ajobs.protocol.codec import encode
from ajobs.protocol.durations import SECOND_NS, format_duration
from ajobs.protocol.errors import AjobsError, ConnectionFailedError, UnavailableError
from ajobs.protocol.events import leader_event
from ajobs.protocol.subjects import SCHEDULER_ELECTION, SCHEDULER_PROGRESS_KEY, leader_subject
from ajobs.protocol.timestamps import format_timestamp, parse_timestamp
from ajobs.scheduler import metrics
from ajobs.scheduler.duties.queue_depths import Depths
from ajobs.scheduler.election import Election
from ajobs.scheduler.runs import make_tasks_of
from ajobs.scheduler.timetable import Run, Timetable, order

if TYPE_CHECKING:
    from ajobs.client.client import Client

MAKE_AT_ONCE = 1_000
"""Tasks that are made before it is asked again whether this still leads."""
READ_AT_ONCE = 128
"""Changed schedules that are read before what is due is looked at again."""
LOOK_S = 1.0
"""Seconds after which the clock is looked at again, should it have been set."""
RESCAN_S = 60.0
"""Seconds after which all schedules are read anew, should a change not have been told."""
RETRY_S = 0.2
"""Seconds until the next attempt when the server does not answer."""
LATE_S = 10.0
"""Seconds of standing still after which runs count as missed, not as late."""
SET_BACK_S = 3 * 3600.0
"""Seconds by which the clock may be set back and what it had shown before still counts, as in Vixie's cron."""
AT_A_STRETCH_S = 0.02
"""Seconds after which a long computation lets others go on: the campaign, and whoever asks for health."""
PROGRESS_S = 30.0
"""Seconds after which progress is written although there was nothing to do."""


class Progress(msgspec.Struct, frozen=True):
    """How far the leader came, as it is stored."""

    done_until: str
    """All runs that were due until then are dealt with; RFC 3339."""
    leader: str


class Scheduler:
    """Makes tasks from schedules while it leads."""

    def __init__(
        self, client: Client, name: str, *, janitor: bool = True, logger: logging.Logger | None = None
    ) -> None:
        """Campaign as ``name``, which has to be unique among the schedulers; `run` starts it.

        Args:
            client: Connected, with a signing key if workers verify tasks.
            name: What other schedulers and events call it.
            janitor: Whether to clean up behind tasks while it leads.
            logger: Where to log, instead of ``ajobs.scheduler``.
        """
        self._client = client
        self._logger = logger or logging.getLogger("ajobs.scheduler")
        self.election = Election(client, SCHEDULER_ELECTION, name, self._logger)
        self.timetable = Timetable()
        self._janitor = Janitor(client) if janitor else None
        self._changed: set[str] = set()
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self._doubt = asyncio.Event()
        self._loaded = False
        self._leads = False
        self._revision = 0
        self._seen_ns = 0
        self._done_ns = 0
        self._written_ns = 0

    def stop(self) -> None:
        """Finish what is being made, give leadership up, and let `run` return.

        Runs that are due and not begun are the next leader's.
        """
        self._stop.set()
        self._wake.set()

    def problems(self) -> dict[str, str | None]:
        """Return what keeps it from its work, by what was looked at; ``None`` where all is well. Standing by is."""
        connected = self._client.storage.connection.is_connected
        return {
            "nats": None if connected else "not connected",
            "schedules": None if self._loaded else "not loaded yet",
            "draining": "is stopping" if self._stop.is_set() else None,
        }

    async def run(self) -> None:
        """Campaign, and make tasks while leading, until `stop` is called.

        Raises:
            ConnectionFailedError: The connection was closed for good.
        """
        metrics.PAUSED.set(1)
        connection = self._client.storage.connection
        forget = connection.on_reconnect(self._reconnected)
        beside = [
            asyncio.create_task(self._watch_connection(), name="watch the connection"),
            asyncio.create_task(self._look_for_changes(), name="look for changes"),
        ]
        if self._janitor is not None:
            cleaning = self._janitor.run(allowed=lambda: self.election.is_leading)
            beside.append(asyncio.create_task(cleaning, name="janitor"))
        depths = Depths(self._client, self._logger).run(allowed=lambda: self.election.is_leading)
        beside.append(asyncio.create_task(depths, name="tell how full the queues are"))
        for task in beside:
            task.add_done_callback(self._note_failure)
        try:
            async with self._client.schedules.changes(self._note_change), self.election.campaigning():
                while not self._stop.is_set():
                    try:
                        await self._step()
                    except UnavailableError as e:
                        self._logger.warning("going on in a moment: %s", e)
                        await self._sleep(RETRY_S)
        finally:
            forget()
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            metrics.PAUSED.set(1)
        if connection.nats.is_closed:
            raise ConnectionFailedError("the connection to NATS was closed for good: see the log")

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Scheduler]:
        """Run for as long as the block does."""
        running = asyncio.create_task(self.run(), name="scheduler")
        try:
            yield self
        finally:
            self.stop()
            await running

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._logger.error("no more of this until a restart: %s", task.get_name(), exc_info=task.exception())

    def _note_change(self, name: str) -> None:
        self._changed.add(name)
        self._wake.set()

    def _reconnected(self) -> None:
        # What changed meanwhile was told to nobody.
        self._doubt.set()

    async def _watch_connection(self) -> None:
        await self._client.storage.connection.wait_closed()
        self.stop()

    # ---- one round

    async def _step(self) -> None:
        self._look_at_clock()
        await self._read_changes()
        if self.election.is_leading:
            if not self._leads:
                await self._take_over()
            await self._make_due()
        elif self._leads:
            self._step_down()
        else:
            self.timetable.skip_to(time.time_ns())
        await self._sleep(self._pause_s())

    def _look_at_clock(self) -> None:
        now_ns = time.time_ns()
        if now_ns < self._seen_ns - SET_BACK_S * SECOND_NS:
            self._logger.warning(
                "the clock was set back by %s: what it shows now counts", format_duration(self._seen_ns - now_ns)
            )
            self.timetable.restart(now_ns)
            self._leads = False
            self._seen_ns = now_ns
        self._seen_ns = max(self._seen_ns, now_ns)

    def _pause_s(self) -> float:
        due_ns = self.timetable.next_due_ns
        until_due_s = LOOK_S if due_ns is None else (due_ns - time.time_ns()) / SECOND_NS
        return min(max(0.0, until_due_s), LOOK_S)

    async def _sleep(self, seconds: float) -> None:
        """Wait until something is due, changed, or decided."""
        changed = asyncio.create_task(self.election.changed.wait())
        woken = asyncio.create_task(self._wake.wait())
        try:
            await asyncio.wait({changed, woken}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
            woken.cancel()
            await asyncio.gather(changed, woken, return_exceptions=True)
        self.election.changed.clear()
        self._wake.clear()

    # ---- schedules

    async def _read_changes(self) -> None:
        if not self._loaded:
            await self._read_all()
        names = sorted(self._changed)[:READ_AT_ONCE]
        self._changed.difference_update(names)
        try:
            infos = await asyncio.gather(*(self._client.schedules.read(name) for name in names))
        except UnavailableError:
            self._changed.update(names)
            raise
        for name, info in zip(names, infos, strict=True):
            if info is not None:
                self._put(name, info)
            elif name in self.timetable.schedules:
                self.timetable.remove(name)
                self._logger.info("schedule is gone", extra={"schedule": name})
        if names:
            self._count()
        if self._changed:
            self._wake.set()  # the rest after what is due

    async def _read_all(self) -> None:
        for info in await self._client.schedules.all():
            self._put(info.name, info)
        self._loaded = True
        self._count()

    async def _look_for_changes(self) -> None:
        """Look for changes that were not told, from time to time and after every reconnect."""
        pause_s = RESCAN_S
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._doubt.wait()
            self._doubt.clear()
            try:
                infos = {info.name: info for info in await self._client.schedules.all()}
            except UnavailableError as e:
                self._logger.warning("schedules cannot be read: %s", e)
                pause_s = RETRY_S
                continue
            pause_s = RESCAN_S
            known = self.timetable.schedules
            # They are read once more: they may have changed again meanwhile.
            differ = {name for name in known.keys() | infos.keys() if known.get(name) != infos.get(name)}
            if differ:
                self._changed |= differ
                self._wake.set()

    def _put(self, name: str, info: ScheduleInfo) -> None:
        if info.problem is not None:
            self._logger.error("schedule cannot be run: %s", info.problem, extra={"schedule": name})
        # What was due before is dealt with, or made up for on take-over.
        self.timetable.put(info, self._done_ns if self._leads else time.time_ns())

    def _count(self) -> None:
        infos = self.timetable.schedules.values()
        metrics.SCHEDULES.set(len(infos))
        metrics.BROKEN.set(sum(info.problem is not None for info in infos))

    # ---- leading

    async def _take_over(self) -> None:
        """Go on from where the last leader stopped."""
        entry = await self._client.schedules.bucket.get(SCHEDULER_PROGRESS_KEY)
        now_ns = time.time_ns()
        self._revision = 0 if entry is None else entry.revision
        done_ns = now_ns if entry is None else _done_until(entry, now_ns)
        wanted, dropped = await self._missed(done_ns, now_ns)
        self._logger.info(
            "leading: %d schedules, %d missed runs to make up for, %d or more to let go",
            len(self.timetable.schedules), len(wanted), dropped,
        )  # fmt: skip
        if not await self._make(wanted):
            return
        # Another clock, or ours before it was set, may have been ahead of ours.
        self._done_ns = max(done_ns, now_ns)
        self.timetable.skip_to(self._done_ns)
        self._leads = True
        await self._write_progress(self._done_ns)
        if not self._leads:
            return
        metrics.PAUSED.set(0)
        await self._announce()

    async def _missed(self, done_ns: int, now_ns: int) -> tuple[list[Run], int]:
        """Return the runs to make up for, in order, and how many are let go."""
        wanted: list[Run] = []
        dropped = 0
        let_others_at = time.monotonic() + AT_A_STRETCH_S
        for name in list(self.timetable.schedules):
            made_up, let_go = self.timetable.missed_of(name, done_ns, now_ns)
            wanted += made_up
            dropped += len(let_go)
            for run in let_go:
                metrics.MISSED.labels(run.info.schedule.task_type, run.info.schedule.queue).inc()
            if time.monotonic() > let_others_at:
                await asyncio.sleep(0)
                let_others_at = time.monotonic() + AT_A_STRETCH_S
        return sorted(wanted, key=order), dropped

    async def _announce(self) -> None:
        event = leader_event(self.election.name, SCHEDULER_ELECTION, event_id=new_id())
        await self._client.storage.requests.publish(leader_subject(SCHEDULER_ELECTION), encode(event))

    def _step_down(self) -> None:
        self._leads = False
        metrics.PAUSED.set(1)
        self._logger.info("not leading any more")

    async def _make_due(self) -> None:
        now_ns = time.time_ns()
        if now_ns - self._done_ns > LATE_S * SECOND_NS:
            # The clock was set, or this process stood still: what was due meanwhile was missed.
            self._leads = False
            return
        due = self.timetable.pop_due(now_ns)
        try:
            made = await self._make(due)
        except BaseException:
            # Some may be made; they are found by their ids when all are made once more.
            self.timetable.put_back(due)
            raise
        if not made:
            self.timetable.put_back(due)
            self._step_down()
            return
        self.timetable.advance(due)
        next_due_ns = self.timetable.next_due_ns
        done_ns = now_ns if next_due_ns is None else min(now_ns, next_due_ns - 1)
        self._done_ns = max(self._done_ns, done_ns)
        if due or now_ns - self._written_ns > PROGRESS_S * SECOND_NS:
            await self._write_progress(self._done_ns)

    async def _make(self, runs: Sequence[Run]) -> bool:
        """Make the tasks of runs, many at once; tell whether all were before leadership ended or a stop.

        Raises:
            UnavailableError: The server could not be asked.
        """
        for start in range(0, len(runs), MAKE_AT_ONCE):
            if self._stop.is_set() or not self.election.is_leading:
                return False
            await make_tasks_of(self._client, runs[start : start + MAKE_AT_ONCE], self._logger)
        return True

    async def _write_progress(self, done_ns: int) -> None:
        bucket = self._client.schedules.bucket
        value = encode(Progress(format_timestamp(done_ns), self.election.name))
        try:
            if self._revision:
                self._revision = await bucket.update(SCHEDULER_PROGRESS_KEY, value, self._revision)
            else:
                self._revision = await bucket.create(SCHEDULER_PROGRESS_KEY, value)
        except RevisionError:
            self._logger.warning("another leader has been at work: taking over again from what it wrote")
            self._leads = False
            return
        self._written_ns = done_ns


def _done_until(entry: Entry, now_ns: int) -> int:
    done_ns = entry.stored_ns  # somebody wrote something else over it
    with suppress(msgspec.MsgspecError, AjobsError, ValueError):
        done_ns = parse_timestamp(msgspec.json.decode(entry.value, type=Progress).done_until)
    return done_ns if done_ns < now_ns + SET_BACK_S * SECOND_NS else now_ns
