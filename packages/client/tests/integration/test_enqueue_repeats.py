"""Enqueuing again what was enqueued before, or half enqueued: it ends with exactly one item."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import msgspec
import pytest

from ajobs.client import Client, Queue, TaskState
from ajobs.client.storage.tasks import NEVER_STORED, TaskStore
from ajobs.protocol.errors import (
    QueueFullError,
    RequestTimeoutError,
    TaskAlreadyExistsError,
)
from ajobs.testing.workers import working
from ajobs.worker import Router

STEPS = 40
"""Turns of the event loop after which a call is cancelled. An enqueue takes fewer."""


@pytest.fixture
async def client(server):
    async with Client.connect(server.url, queue="Q") as connected:
        yield connected


async def half_enqueued(client, **options):
    """Store a task without an item, as a producer does that dies between the two writes."""
    task = client.enqueuer.prepare(client.new_task("t", 1, task_id="mine", **options), None)
    return (await client.storage.tasks.save(task, NEVER_STORED)).task


async def items_and_unfinished(client):
    await client.enqueuer.unfinished.close()
    stored = {task.id async for task in client.tasks() if task.state in {TaskState.NEW, TaskState.BLOCKED}}
    with_item = {task_id for task_id in stored if await client.storage.items.exists("Q", task_id)}
    return (await client.queue_info()).items, stored, with_item


@pytest.mark.parametrize("options", [{}, {"depends_on": ["parent"]}, {"deadline": timedelta(hours=1)}])
async def test_half_an_enqueue_is_completed_by_the_same_call(client, options):
    stored = await half_enqueued(client, **options)
    for _ in range(3):
        assert await client.enqueue("t", 1, task_id="mine", **options) == stored
        assert (await client.queue_info()).items == 1


async def test_half_an_enqueue_is_completed_among_many(client):
    await half_enqueued(client)
    tasks = [client.new_task("t", 1, task_id=task_id) for task_id in ("before", "mine", "mine", "after")]
    result = await client.enqueue_many(tasks)
    assert (sorted(task.id for task in result.enqueued), result.failed) == (["after", "before", "mine", "mine"], [])
    assert (await client.queue_info()).items == 3


async def test_a_waiting_task_keeps_its_place_when_it_is_enqueued_again(client):
    task = await client.enqueue("t", 1, task_id="mine")
    before = (await client.storage.queues.described("Q"))[0]["state"]
    assert await client.enqueue("t", 1, task_id="mine") == task
    after = (await client.storage.queues.described("Q"))[0]["state"]
    assert (after["first_seq"], after["messages"]) == (before["first_seq"], 1)


@pytest.mark.parametrize(
    ("payload", "options"),
    [
        (2, {}),
        (1, {"max_tries": 3}),
        (1, {"queue": "OTHER"}),
        (1, {"depends_on": ["parent"]}),
        (1, {"deadline": timedelta(hours=1)}),
    ],
)
async def test_other_content_is_refused_and_changes_nothing(client, payload, options):
    stored = await half_enqueued(client)
    with pytest.raises(TaskAlreadyExistsError, match="other content"):
        await client.enqueue("t", payload, task_id="mine", **options)
    assert await client.load("mine") == stored
    assert (await client.queue_info()).items == 0


async def test_a_task_that_was_started_is_refused(client):
    router = Router()
    router.add("t", lambda: "ran")
    task = await client.enqueue("t", 1, task_id="mine")
    async with working(client, router):
        await client.wait(task.id, timeout=30)
    with pytest.raises(TaskAlreadyExistsError, match="is complete"):
        await client.enqueue("t", 1, task_id="mine")
    assert (await client.queue_info()).items == 0


async def test_a_task_that_its_queue_refused_is_enqueued_by_the_same_call(server):
    async with Client.connect(server.url, queue=Queue(name="SMALL", max_entries=1)) as client:
        await client.enqueue("t", 1)
        with pytest.raises(QueueFullError):
            await client.enqueue("t", 1, task_id="mine")
        await client.purge_queue("SMALL")
        task = await client.enqueue("t", 1, task_id="mine")
        assert (task.state, (await client.queue_info()).items) == (TaskState.RETRY, 1)
        assert await client.enqueue("t", 1, task_id="mine") == task
        assert (await client.queue_info()).items == 1


async def test_an_id_can_be_used_again_at_once_after_its_task_was_deleted_or_discarded(server):
    runs = []
    router = Router()
    router.add("t", lambda: runs.append(1))
    async with Client.connect(server.url, queue="Q") as client:
        for _ in range(2):
            await client.enqueue("t", task_id="mine")
            assert (await client.queue_info()).items == 1
            await client.delete("mine")
        async with working(client, router, discard_states=("complete",)):
            for expected in range(1, 4):
                await client.enqueue("t", task_id="mine")
                async with asyncio.timeout(30):
                    while len(runs) < expected or (await client.store_info()).tasks:
                        await asyncio.sleep(0.01)
        assert (len(runs), (await client.queue_info()).items) == (3, 0)


async def test_many_calls_at_once_with_one_id_end_with_one_item(client):
    for number in range(20):
        await half_enqueued(client)
        calls = (client.enqueue("t", 1, task_id="mine") for _ in range(5))
        await asyncio.gather(*calls)
        assert (await client.queue_info()).items == 1, number
        await client.delete("mine")
        await client.purge_queue("Q")


# ---- cancellation


async def test_a_cancelled_enqueue_leaves_nothing_or_all(client):
    for steps in range(STEPS):
        call = asyncio.create_task(client.enqueue("t", steps))
        for _ in range(steps):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        items, stored, with_item = await items_and_unfinished(client)
        assert (items, with_item) == (len(stored), stored), steps


async def test_a_cancelled_enqueue_of_many_leaves_nothing_or_all_of_each(client):
    total = 0
    for steps in range(0, 10 * STEPS, 7):
        call = asyncio.create_task(client.enqueue_many((client.new_task("t", n) for n in range(300)), window=30))
        for _ in range(steps):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        items, stored, with_item = await items_and_unfinished(client)
        assert (items, with_item) == (len(stored), stored), steps
        total += items
        for task_id in stored:
            await client.delete(task_id)
        await client.purge_queue("Q")
    assert total


@pytest.mark.parametrize("call", ["retry", "enqueue_once"])
async def test_a_cancelled_retry_or_enqueue_once_leaves_nothing_or_all(client, call):
    for steps in range(0, 3 * STEPS, 5):
        if call == "retry":
            task = await client.enqueue("t", steps)
            stored = await client.storage.tasks.load(task.id)
            changed = msgspec.structs.replace(task, state=TaskState.EXPIRED)
            await client.storage.tasks.save(changed, stored.revision)
            await client.purge_queue("Q")
            calling = asyncio.create_task(client.retry(task.id))
        else:
            calling = asyncio.create_task(client.enqueue_once(f"key-{steps}", "t", steps))
        for _ in range(steps):
            await asyncio.sleep(0)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        await client.enqueuer.unfinished.close()
        unfinished = [task async for task in client.tasks() if task.state in {TaskState.NEW, TaskState.RETRY}]
        assert (await client.queue_info()).items == len(unfinished), steps
        for task in unfinished:
            await client.delete(task.id)
        await client.purge_queue("Q")


async def test_closing_the_client_waits_for_requests_that_a_cancellation_left(server):
    async with Client.connect(server.url, queue="Q") as observer:
        async with Client.connect(server.url, queue="Q") as client:
            calls = [asyncio.create_task(client.enqueue("t", n)) for n in range(50)]
            await asyncio.sleep(0)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        items, stored, with_item = await items_and_unfinished(observer)
        assert (items, with_item) == (len(stored), stored)


# ---- crashes and outages


@pytest.mark.parametrize("step", ["save", "put"])
@pytest.mark.parametrize("stored", [False, True])
async def test_the_same_call_completes_whatever_a_crash_left(client, monkeypatch, step, stored):
    """The process dies before or after the server executes one of the two writes."""
    post = client.storage.requests.post

    class CrashError(BaseException):
        pass

    def crash(subject, *rest):
        if subject.startswith("CHORIA_AJ.T." if step == "save" else "CHORIA_AJ.Q."):
            if stored:
                post(subject, *rest)
            raise CrashError
        return post(subject, *rest)

    monkeypatch.setattr(client.storage.requests, "post", crash)
    with pytest.raises(CrashError):
        await client.enqueue("t", 1, task_id="mine")
    monkeypatch.undo()
    task = await client.enqueue("t", 1, task_id="mine")
    assert (task.state, (await client.queue_info()).items) == (TaskState.NEW, 1)


async def test_a_server_that_dies_between_the_two_writes_costs_a_repeat(server, monkeypatch):
    async with Client.connect(server.url, queue="Q", request_timeout=0.3, patience=0.5) as client:
        save = TaskStore.save

        async def save_and_kill(*args, **options):
            saved = await save(*args, **options)
            server.kill()
            return saved

        with monkeypatch.context() as patched:
            patched.setattr(TaskStore, "save", save_and_kill)
            with pytest.raises(RequestTimeoutError):
                await client.enqueue("t", 1, task_id="mine")
        await server.start()
        async with asyncio.timeout(30):
            while not client.storage.connection.is_connected:
                await asyncio.sleep(0.05)
        await client.enqueue("t", 1, task_id="mine")
        assert (await client.queue_info()).items == 1


async def test_no_task_is_stranded_by_outages_if_calls_are_repeated(server):
    """Five outages longer than the patience, while producers enqueue with ids of their own and repeat what fails."""
    async with Client.connect(server.url, queue="Q", request_timeout=0.2, patience=0.3) as client:
        wanted, done = 600, asyncio.Event()

        async def produce(first):
            for number in range(first, wanted, 20):
                while True:
                    try:
                        await client.enqueue("t", number, task_id=f"own-{number}")
                    except TaskAlreadyExistsError:
                        pytest.fail("no worker has started a task")
                    except Exception:
                        await asyncio.sleep(0.05)
                        continue
                    break
                await asyncio.sleep(0.05)

        async def outages():
            for _ in range(5):
                await asyncio.sleep(0.2)
                server.kill()
                await asyncio.sleep(0.7)
                await server.start()
            done.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(outages())
            for first in range(20):
                group.create_task(produce(first))
        await done.wait()
        tasks = [task async for task in client.tasks()]
        assert len(tasks) == wanted
        assert {task.state for task in tasks} <= {TaskState.NEW, TaskState.RETRY}
        assert (await client.queue_info()).items == wanted
