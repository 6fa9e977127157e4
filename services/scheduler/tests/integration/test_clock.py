"""A wall clock that is set while schedulers run."""

from __future__ import annotations

import asyncio
import json
import logging
import time

from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.ids import parse_ksuid
from ajobs.protocol.subjects import SCHEDULER_PROGRESS_KEY
from ajobs.protocol.timestamps import parse_timestamp
from ajobs.scheduler import clock as clocks
from ajobs.scheduler.duties import schedules
from ajobs.scheduler.scheduler import Scheduler
from services.scheduler.tests.integration.kit import leading, tasks_of


class Clock:
    """A wall clock that can be set."""

    monotonic = staticmethod(time.monotonic)
    ahead_ns = 0

    def time_ns(self) -> int:
        return time.time_ns() + self.ahead_ns


async def test_a_clock_set_back_by_years_counts_at_once(client, monkeypatch):
    clock = Clock()
    clock.ahead_ns = 10 * 365 * 86400 * SECOND_NS
    monkeypatch.setattr(clocks, "time", clock)
    async with Scheduler(client, "one", janitor=False).running() as scheduler:
        await leading(scheduler)
        await client.schedules.create("s", "@every 1s", "t", queue="Q")
        async with asyncio.timeout(30):
            while (scheduler.schedules.timetable.next_due_ns or 0) < clock.time_ns() - 60 * SECOND_NS:
                await asyncio.sleep(0.01)
        clock.ahead_ns = 0
        right_ns = time.time_ns()
        ahead = set(await tasks_of(client))
        async with asyncio.timeout(30):
            while len(await tasks_of(client)) < len(ahead) + 2:
                await asyncio.sleep(0.02)
        seconds = [parse_ksuid(task_id).unix_s for task_id in await tasks_of(client) if task_id not in ahead]
        progress = await client.schedules.bucket.get(SCHEDULER_PROGRESS_KEY)
    assert all(abs(second - right_ns // SECOND_NS) < 3600 for second in seconds)
    assert parse_timestamp(json.loads(progress.value)["done_until"]) < right_ns + 3600 * SECOND_NS


async def test_a_clock_set_back_a_little_creates_no_task_twice(client, monkeypatch, caplog):
    """Not even when its tasks were discarded, by this leader and the next one."""
    caplog.set_level(logging.WARNING, logger="ajobs.scheduler")
    clock = Clock()
    monkeypatch.setattr(clocks, "time", clock)
    made: list[int] = []

    async def note(_client, runs, _logger):
        made.extend(run.tick_ns for run in runs)

    monkeypatch.setattr(schedules, "create_tasks", note)
    async with Scheduler(client, "one", janitor=False).running() as scheduler:
        await leading(scheduler)
        await client.schedules.create("s", "@every 1s", "t", queue="Q", catch_up="all")
        async with asyncio.timeout(30):
            while len(made) < 2:
                await asyncio.sleep(0.01)
        clock.ahead_ns = -2 * SECOND_NS
        async with asyncio.timeout(30):
            while len(made) < 4:
                await asyncio.sleep(0.01)
        clock.ahead_ns -= SECOND_NS
    lines = [record.getMessage() for record in caplog.records if "set back" in record.getMessage()]
    assert len(lines) == 1
    assert "no tick is due until it shows again what it had shown" in lines[0]
    async with Scheduler(client, "two", janitor=False).running() as scheduler:
        await leading(scheduler)
        async with asyncio.timeout(30):
            while len(made) < 7:
                await asyncio.sleep(0.01)
    assert [tick - made[0] for tick in made] == [n * SECOND_NS for n in range(len(made))]
