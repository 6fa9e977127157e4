"""The duty to create tasks from schedules."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from datetime import timedelta

import pytest

from ajobs.client import Client, TaskState
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import UnavailableError
from ajobs.protocol.events import LeaderEvent
from ajobs.protocol.ids import parse_ksuid
from ajobs.protocol.schedule import tick_id
from ajobs.protocol.signing import Signer, verify_task
from ajobs.protocol.timestamps import parse_timestamp
from ajobs.scheduler import clock as clocks
from ajobs.scheduler.duties import changes, schedules
from ajobs.scheduler.runs import create_tasks
from ajobs.scheduler.scheduler import Scheduler
from services.scheduler.tests.integration.kit import QUEUE, leading, run_of, tasks_of, wait_tasks


async def test_a_scheduled_task_has_the_settings_of_its_schedule(server, client):
    async with Client.connect(server.url, queue=QUEUE, signing_key=bytes(32)) as signing:
        scheduler = Scheduler(signing, "one")
        async with client.watch() as events, scheduler.running():
            await signing.schedules.create(
                "s", "@every 1s", "report", queue="Q", payload={"a": 1}, deadline=timedelta(minutes=1), max_tries=3
            )
            task, *_ = await wait_tasks(client, 1)
            elected = await anext(event async for event in events if isinstance(event, LeaderEvent))
    schedule = (await client.schedules.load("s")).schedule
    tick_ns = parse_timestamp(task.deadline) - 60 * SECOND_NS
    assert (tick_ns - parse_timestamp(schedule.created_at)) % SECOND_NS == 0
    assert task.id == tick_id("s", tick_ns)
    assert parse_ksuid(task.id).unix_s == tick_ns // SECOND_NS
    assert (task.type, task.queue, task.payload, task.max_tries) == ("report", "Q", b'{"a":1}', 3)
    assert task.state is TaskState.NEW
    verify_task(task, Signer(bytes(32)).verifier, optional=False)
    assert (elected.name, elected.component) == ("one", "task_scheduler")


async def test_changes_take_effect_at_once(client):
    async with Scheduler(client, "one").running() as scheduler:
        await leading(scheduler)
        await client.schedules.create("s", "@every 1s", "old", queue="Q")
        await wait_tasks(client, 1)
        await client.schedules.update("s", task_type="changed")
        async with asyncio.timeout(30):
            while not any(task.type == "changed" for task in (await tasks_of(client)).values()):
                await asyncio.sleep(0.02)
        changed_at = min(
            parse_timestamp(task.created) for task in (await tasks_of(client)).values() if task.type == "changed"
        )
        assert all(
            t.type == "changed" for t in (await tasks_of(client)).values() if parse_timestamp(t.created) >= changed_at
        )
        await client.schedules.pause("s")
        async with asyncio.timeout(30):
            while scheduler.schedules.timetable.next_due_ns is not None:
                await asyncio.sleep(0.01)
        await client.schedules.delete("s")
        async with asyncio.timeout(30):
            while scheduler.schedules.timetable.schedules:
                await asyncio.sleep(0.01)


async def test_a_broken_schedule_and_a_missing_queue_affect_no_other_schedule(client):
    await client.schedules.bucket.put("scheduled_tasks.broken", b"{")
    await client.schedules.create("nowhere", "@every 1s", "t", queue="MISSING")
    await client.schedules.create("fine", "@every 1s", "t", queue="Q")
    async with Scheduler(client, "one").running() as scheduler:
        async with asyncio.timeout(60):
            while (await client.queue_info("Q")).items < 2:
                await asyncio.sleep(0.02)
        assert scheduler.schedules.timetable.schedules["broken"].problem is not None
    states = Counter((task.queue, task.state) for task in (await tasks_of(client)).values())
    assert states["MISSING", TaskState.QUEUE_ERROR] >= 1


@pytest.mark.parametrize(("catch_up", "missed"), [("none", []), ("last", [5]), ("all", [1, 2, 3, 4, 5])])
async def test_the_next_leader_catches_up_on_missed_ticks(client, monkeypatch, catch_up, missed):
    """A leader stops. The next one sees an hourly schedule as if five hours had passed."""
    info = await client.schedules.create("s", "@every 1h", "t", queue="Q", catch_up=catch_up)
    async with Scheduler(client, "one").running() as scheduler:
        await leading(scheduler)
    later_ns = parse_timestamp(info.schedule.created_at) + int(5.5 * 3600) * SECOND_NS

    class Later:
        """A clock that is some hours ahead."""

        monotonic = staticmethod(time.monotonic)
        time_ns = staticmethod(lambda: later_ns + time.time_ns() % SECOND_NS)

    monkeypatch.setattr(clocks, "time", Later)
    async with Scheduler(client, "two").running() as scheduler:
        await leading(scheduler)
    expected = {tick_id("s", parse_timestamp(info.schedule.created_at) + n * 3600 * SECOND_NS) for n in missed}
    assert set(await tasks_of(client)) == expected


async def test_no_tick_is_lost_while_the_server_does_not_answer(client, monkeypatch):
    """Not even a tick of a schedule that skips missed ticks; and the schedule continues."""
    failures = iter([UnavailableError("no answer"), UnavailableError("no answer")])

    async def fail_at_first(*arguments):
        for failure in failures:
            raise failure
        return await create_tasks(*arguments)

    async with Scheduler(client, "one", janitor=False).running() as scheduler:
        await leading(scheduler)
        monkeypatch.setattr(schedules, "create_tasks", fail_at_first)
        info = await client.schedules.create("s", "@every 1s", "t", queue="Q", catch_up="none")
        made = {task.id for task in await wait_tasks(client, 3)}
    assert {tick_id("s", parse_timestamp(info.schedule.created_at) + n * SECOND_NS) for n in (1, 2, 3)} <= made


async def test_a_stop_leaves_ticks_that_are_not_started(client):
    scheduler = Scheduler(client, "one", janitor=False)
    run = await run_of(client)

    def leads() -> bool:
        return scheduler.election.is_leading

    async with scheduler.election.campaigning():
        async with asyncio.timeout(30):
            while not scheduler.election.is_leading:
                await asyncio.sleep(0.01)
        assert await scheduler.schedules.create([run], leads)
        scheduler.stop()
        assert not await scheduler.schedules.create([run._replace(tick_ns=run.tick_ns + SECOND_NS)], leads)
    assert len(await tasks_of(client)) == 1


async def test_a_change_that_was_not_announced_is_found(client, monkeypatch):
    monkeypatch.setattr(changes, "RESCAN_S", 0.2)
    monkeypatch.setattr(changes.Changes, "note", lambda *_: None)
    async with Scheduler(client, "one", janitor=False).running() as scheduler:
        await leading(scheduler)
        for name in ("s", "gone"):
            await client.schedules.create(name, "@every 1h", "t", queue="Q")
        async with asyncio.timeout(30):
            while set(scheduler.schedules.timetable.schedules) != {"s", "gone"}:
                await asyncio.sleep(0.01)
        await client.schedules.update("s", schedule="@every 1s")
        await client.schedules.delete("gone")
        await wait_tasks(client, 1)
        async with asyncio.timeout(30):
            while set(scheduler.schedules.timetable.schedules) != {"s"}:
                await asyncio.sleep(0.01)
