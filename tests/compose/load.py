"""Load from outside of the stack, and checks of its outcome."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from ajobs.client import Client, TaskState
from ajobs.client.storage.jetstream.buckets import Bucket
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import UnavailableError
from ajobs.protocol.schedule import tick_id
from ajobs.protocol.subjects import ELECTIONS_BUCKET, SCHEDULER_ELECTION
from ajobs.protocol.timestamps import parse_timestamp
from tests.compose.docker import say

BATCH = 50
END_S = 240.0
SCHEDULE = "each-second"


class Load:
    """Tasks that are enqueued while parts of the stack fail."""

    def __init__(self, producer: Client, count: int, over_s: float) -> None:
        """Enqueue ``count`` tasks spread over ``over_s`` seconds."""
        self._producer = producer
        self._count = count
        self._pause_s = over_s * BATCH / count
        self.ids: list[str] = []
        self._more = asyncio.Condition()

    async def produce(self) -> None:
        for first in range(0, self._count, BATCH):
            numbers = range(first, min(first + BATCH, self._count))
            tasks = [
                self._producer.new_task("sleep", 0.1) if number % 2 else self._producer.new_task("digest", str(number))
                for number in numbers
            ]
            done = await self._producer.enqueue_many(tasks)
            assert not done.failed, f"{len(done.failed)} tasks were not enqueued; first error: {done.failed[0]}"
            async with self._more:
                self.ids += [task.id for task in done.enqueued]
                self._more.notify_all()
            await asyncio.sleep(self._pause_s)

    async def enqueued(self, share: float) -> None:
        """Wait until a share of the tasks, between 0 and 1, is enqueued."""
        async with self._more:
            await self._more.wait_for(lambda: len(self.ids) >= share * self._count)

    async def all_complete(self) -> None:
        """Wait until every enqueued task is complete."""
        assert len(set(self.ids)) == self._count
        waiting, give_up = set(self.ids), time.monotonic() + END_S
        while waiting:
            tasks = await asyncio.gather(*(self._producer.load(each) for each in sorted(waiting)[:1000]))
            waiting -= {task.id for task in tasks if task.state is TaskState.COMPLETE}
            if waiting and time.monotonic() > give_up:
                states = Counter(str(task.state) for task in tasks)
                raise AssertionError(f"{len(waiting)} tasks are not complete after {END_S:g} s: {states}")
            await asyncio.sleep(0.5 if waiting else 0)
        say(f"all {self._count} tasks are complete")


async def leader(admin: Client) -> str:
    """Return the name of the leading scheduler."""
    bucket = Bucket(admin.storage.connection, admin.storage.jetstream, ELECTIONS_BUCKET)
    async with asyncio.timeout(60):
        while (entry := await bucket.get(SCHEDULER_ELECTION)) is None:
            await asyncio.sleep(0.2)
    return entry.value.decode()


class Ticks:
    """A schedule that is due every second, and its tasks."""

    def __init__(self, admin: Client, created_ns: int) -> None:
        self._admin = admin
        self._created_ns = created_ns
        self._numbers = {tick_id(SCHEDULE, created_ns + n * SECOND_NS): n for n in range(1, 10_000)}

    @classmethod
    async def begin(cls, admin: Client) -> Ticks:
        """Create the schedule, and return once its first task exists."""
        info = await admin.schedules.create(SCHEDULE, "@every 1s", "time", catch_up="all", catch_up_limit=10_000)
        ticks = cls(admin, parse_timestamp(info.schedule.created_at))
        async with asyncio.timeout(90):
            while not await ticks.delays():
                await asyncio.sleep(0.5)
        say("the schedule created its first task")
        return ticks

    async def delays(self) -> dict[int, float]:
        """Return the seconds from each tick to the creation of its task, for the ticks that have one."""
        delays: dict[int, float] = {}
        async for task in self._admin.tasks():
            tick = self._numbers.get(task.id)
            if tick is not None:
                delays[tick] = (parse_timestamp(task.created) - self._created_ns) / SECOND_NS - tick
        return delays

    async def end(self, at_least: int) -> None:
        """Wait for a number of ticks, delete the schedule, and check that each tick has a task and each is complete."""
        async with asyncio.timeout(120):
            while len(delays := await self.delays()) < at_least:
                await asyncio.sleep(1)
        # By now a new leader has caught up missed ticks.
        await self._admin.schedules.delete(SCHEDULE)
        delays = await self.delays()
        missing = sorted(set(range(min(delays), max(delays) + 1)) - delays.keys())
        assert not missing, f"{len(delays)} ticks have a task, and these have none: {missing}"
        async with asyncio.timeout(120):
            while unfinished := [task.id async for task in self._admin.tasks() if self._is_unfinished(task)]:
                await asyncio.sleep(1)
        del unfinished
        say(f"{len(delays)} ticks, each with one task, with a delay of at most {max(delays.values()):.1f} s")

    def _is_unfinished(self, task: object) -> bool:
        return getattr(task, "id", "") in self._numbers and getattr(task, "state", None) is not TaskState.COMPLETE


async def workers(admin: Client, count: int) -> None:
    """Wait until a number of workers announce themselves."""
    async with asyncio.timeout(120):
        while True:
            try:
                if len(await admin.workers()) == count:
                    return
            except UnavailableError:
                pass
            await asyncio.sleep(0.5)
