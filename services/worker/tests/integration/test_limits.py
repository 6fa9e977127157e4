"""Limits on tasks that run at once, in one worker and over all workers."""

from __future__ import annotations

import asyncio

import pytest

from ajobs.client import Client, Queue, TaskState
from ajobs.testing.workers import working
from ajobs.worker import Router, Task


@pytest.fixture
def router():
    return Router()


@pytest.fixture
async def client(server):
    async with Client.connect(server.url, queue=Queue(name="Q")) as connected:
        yield connected


async def ends(client, task, state):
    assert (await client.wait(task.id, timeout=30)).state is state


async def test_slots_limit_the_tasks_that_run_at_once(client, router):
    now, most = 0, 0

    @router.handler("t")
    async def count() -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.002)
        now -= 1

    tasks = (await client.enqueue_many(client.new_task("t") for _ in range(100))).enqueued
    async with working(client, router, concurrency=8):
        for task in tasks:
            await ends(client, task, TaskState.COMPLETE)
    assert most == 8


async def test_the_queue_limits_the_tasks_that_run_at_once_over_all_workers(server, router):
    now, most = 0, 0

    @router.handler("t")
    async def count() -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.002)
        now -= 1

    queue = Queue(name="Q", max_concurrent=3)
    async with Client.connect(server.url, queue=queue) as one, Client.connect(server.url, queue=queue) as two:
        tasks = (await one.enqueue_many(one.new_task("t") for _ in range(60))).enqueued
        async with working(one, router), working(two, router):
            for task in tasks:
                await ends(one, task, TaskState.COMPLETE)
    assert most == 3


async def test_a_busy_worker_leaves_items_to_an_idle_one(server, router):
    """With one slot and long tasks, a worker requests nothing in advance."""
    started = asyncio.Queue[str]()
    go = asyncio.Event()

    @router.handler("t")
    async def slow(task: Task) -> None:
        started.put_nowait(task.id)
        await go.wait()

    queue = Queue(name="Q")
    async with (
        Client.connect(server.url, queue=queue) as one,
        Client.connect(server.url, queue=queue) as two,
        working(one, router, concurrency=1),
    ):
        tasks = [await one.enqueue("t") for _ in range(2)]
        first = await started.get()
        async with working(two, router, concurrency=1):
            assert {first, await asyncio.wait_for(started.get(), 30)} == {task.id for task in tasks}
            go.set()
