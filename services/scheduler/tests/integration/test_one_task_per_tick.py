"""Each tick has exactly one task, although schedulers compete, die and take over."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from contextlib import AsyncExitStack

import msgspec

from ajobs.client import TaskState
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.schedule import tick_id
from ajobs.protocol.subjects import SCHEDULER_ELECTION, SCHEDULER_PROGRESS_KEY
from ajobs.protocol.timestamps import parse_timestamp
from ajobs.scheduler.runs import create_tasks
from ajobs.scheduler.scheduler import Scheduler
from ajobs.scheduler.timetable import Run
from ajobs.testing.processes import program
from services.scheduler.tests.integration.kit import LOGGER, QUEUE, run_of, tasks_of, wait_more, wait_tasks


async def test_concurrent_attempts_create_one_task(client):
    run = await run_of(client)
    made = await asyncio.gather(*(create_tasks(client, [run], LOGGER) for _ in range(20)))
    assert sum(made) == 1
    assert len(await tasks_of(client)) == 1
    assert (await client.queue_info("Q")).items == 1


async def test_each_run_of_a_batch_succeeds_or_fails_alone(client):
    """Tasks created before, a missing queue and an invalid queue name fail alone."""
    run = await run_of(client)
    info = run.info
    nowhere = msgspec.structs.replace(info, schedule=msgspec.structs.replace(info.schedule, name="n", queue="MISSING"))
    wrong = msgspec.structs.replace(info, schedule=msgspec.structs.replace(info.schedule, name="w", queue="a.b"))
    ticks = [run.tick_ns + n * SECOND_NS for n in range(1_500)]
    runs = [Run(tick, tick, info) for tick in ticks]
    assert await create_tasks(client, runs[:700], LOGGER) == 700
    mixed = [*runs[600:], Run(ticks[0], ticks[0], nowhere), Run(ticks[0], ticks[0], wrong)]
    assert await create_tasks(client, mixed, LOGGER) == 800
    states = Counter((task.queue, task.state) for task in (await tasks_of(client)).values())
    assert states == {("Q", TaskState.NEW): 1_500, ("MISSING", TaskState.QUEUE_ERROR): 1}
    assert (await client.queue_info("Q")).items == 1_500


async def test_the_next_leader_enqueues_a_task_without_an_item(client):
    run = await run_of(client)
    await create_tasks(client, [run], LOGGER)
    await client.purge_queue("Q")
    await client.delete_queue("Q")
    await client.create_queue(QUEUE)
    assert not await create_tasks(client, [run], LOGGER)
    assert (await client.queue_info("Q")).items == 1


async def test_a_discarded_task_is_not_created_again(client):
    run = await run_of(client)
    await create_tasks(client, [run], LOGGER)
    (task_id,) = await tasks_of(client)
    await client.delete(task_id)
    assert not await create_tasks(client, [run], LOGGER)
    assert await tasks_of(client) == {}


async def test_every_tick_has_one_task_through_kills_pauses_and_restarts(client, server):
    """Three schedulers, one schedule of every second: kill, suspend past the lease, restart the server."""
    async with AsyncExitStack() as stack:
        processes = {}

        async def begin(name: str) -> None:
            arguments = ("--name", name, "--server", server.url, "--no-janitor")
            processes[name] = await stack.enter_async_context(program("ajobs.scheduler.main", *arguments))

        for name in ("one", "two", "three"):
            await begin(name)
        bucket = Scheduler(client, "observer").election._bucket
        async with asyncio.timeout(60):
            # The first leader starts at the present time, and has no missed ticks.
            while await client.schedules.bucket.get(SCHEDULER_PROGRESS_KEY) is None:
                await asyncio.sleep(0.02)
        info = await client.schedules.create("s", "@every 1s", "t", queue="Q", catch_up="all", catch_up_limit=1000)
        await wait_tasks(client, 2)

        async def leader() -> str:
            async with asyncio.timeout(60):
                while (entry := await bucket.get(SCHEDULER_ELECTION)) is None:
                    await asyncio.sleep(0.05)
            return entry.value.decode()

        first = await leader()
        processes[first].signal(signal.SIGKILL)
        await wait_more(client, 3)
        await begin(first)
        second = await leader()
        processes[second].signal(signal.SIGSTOP)
        await wait_more(client, 3)
        processes[second].signal(signal.SIGCONT)
        await wait_more(client, 2)
        server.kill()
        await server.start()
        await wait_more(client, 3)
        await bucket.delete(SCHEDULER_ELECTION)
        await wait_more(client, 3)
        third = await leader()
        processes[third].signal(signal.SIGTERM)
        assert await processes[third].ended() == 0
        await wait_more(client, 3)
        for name, process in processes.items():
            if name != third:
                process.signal(signal.SIGTERM)
        for process in processes.values():
            await process.ended()
    tasks = await tasks_of(client)
    start = parse_timestamp(info.schedule.created_at)
    ticks = {tick_id("s", start + n * SECOND_NS): n for n in range(1, 2000)}
    numbers = sorted(ticks[task_id] for task_id in tasks)
    assert numbers == list(range(1, len(numbers) + 1))
    assert (await client.queue_info("Q")).items == len(numbers)
