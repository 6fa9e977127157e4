"""The server restarts while tasks are enqueued and run: all become complete, and each is stored once."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from ajobs.client import Client, Queue, TaskState
from ajobs.protocol.decisions import expire
from ajobs.protocol.errors import RequestTimeoutError
from ajobs.testing.processes import worker_process
from ajobs.testing.workers import working
from ajobs.worker import Router

TASKS = 2_000
QUEUE = Queue(name="Q", max_run_time=2, max_concurrent=200)


async def test_enqueuing_waits_for_the_server_and_loses_or_duplicates_nothing(server):
    async with Client.connect(server.url, queue=QUEUE, request_timeout=0.5) as client:
        many = asyncio.create_task(client.enqueue_many((client.new_task("t", n) for n in range(3_000)), window=20))
        while (await client.store_info()).tasks < 200:
            await asyncio.sleep(0)
        server.kill()
        await server.start()
        result = await many
        assert result.failed == []
        assert (await client.store_info()).tasks == 3_000
        assert (await client.queue_info()).items == 3_000
        states = Counter([task.state async for task in client.tasks()])
        assert states == {TaskState.NEW: 3_000}


async def test_an_outage_longer_than_the_patience_is_an_error(server):
    async with Client.connect(server.url, request_timeout=0.2, patience=0.3) as client:
        server.kill()
        with pytest.raises(RequestTimeoutError, match="answer"):
            await client.enqueue("t", 1)


async def test_waiting_and_reading_continue_after_an_outage(server):
    async with Client.connect(server.url, queue=QUEUE, request_timeout=0.5) as client:
        task = await client.enqueue("t", 1)
        waiting = asyncio.create_task(client.wait(task.id, timeout=60))
        server.kill()
        reading = [asyncio.create_task(ask()) for ask in (client.queue_info, client.store_info, client.queues)]
        loading = asyncio.create_task(client.load(task.id))
        await server.start()
        assert (await loading).id == task.id
        assert len(await asyncio.gather(*reading)) == 3
        stored = await client.storage.tasks.load(task.id)
        await client.storage.tasks.save(expire(stored.task), stored.revision)
        assert (await waiting).state is TaskState.EXPIRED


async def test_more_data_than_fits_the_send_buffer_waits_for_the_server(server):
    async with Client.connect(server.url, queue=QUEUE, request_timeout=5) as client:
        large = b"x" * 100_000
        server.kill()
        tasks = (client.new_task("t", large) for _ in range(60))
        result, _ = await asyncio.gather(client.enqueue_many(tasks, window=60), server.start())
        assert result.failed == []
        assert (await client.queue_info()).items == 60


async def test_a_save_whose_acknowledgement_is_lost_is_recognized_as_our_own(client, monkeypatch):
    """The first request is stored but its acknowledgement is dropped, so that the second one conflicts with it."""
    post = client.storage.requests.post
    lost: list[str] = []

    async def lose(answer):
        await answer
        raise RequestTimeoutError("lost")

    def lose_first_answers(subject, *rest):
        answer = post(subject, *rest)
        if subject.startswith("CHORIA_AJ.") and subject not in lost:
            lost.append(subject)
            return asyncio.ensure_future(lose(answer))
        return answer

    monkeypatch.setattr(client.storage.requests, "post", lose_first_answers)
    task = await client.enqueue("t", 1)
    assert len(lost) == 2
    assert await client.load(task.id) == task
    assert (await client.queue_info()).items == 1
    # The same acknowledgement for a request that was not lost means the item of the deleted task.
    await client.delete(task.id)
    await client.purge_queue("Q")
    await client.enqueue("t", 1, task_id=task.id)
    assert (await client.queue_info()).items == 1


async def test_a_handler_that_runs_while_the_server_restarts_keeps_its_result(server):
    router = Router()
    running, go = asyncio.Event(), asyncio.Event()
    runs: list[int] = []

    @router.handler("t")
    async def slow() -> str:
        runs.append(1)
        running.set()
        await go.wait()
        return "kept"

    queue = Queue(name="Q", max_run_time="1m")
    async with Client.connect(server.url, queue=queue, request_timeout=0.5) as client:
        task = await client.enqueue("t")
        async with working(client, router):
            await running.wait()
            server.kill()
            go.set()
            await server.start()
            assert await client.result(task.id, timeout=60) == "kept"
    assert runs == [1]


async def test_a_worker_continues_after_its_queue_was_deleted_and_created_again(client, monkeypatch):
    monkeypatch.setattr("ajobs.client.storage.jetstream.pull.LONGEST_BACKOFF_S", 0.2)
    router = Router()
    router.add("t", lambda: "ran")
    async with working(client, router):
        assert await client.result((await client.enqueue("t")).id, timeout=30) == "ran"
        await client.delete_queue("Q")
        await client.create_queue(Queue(name="Q"))
        assert await client.result((await client.enqueue("t")).id, timeout=60) == "ran"


async def test_every_task_completes_once_although_a_worker_is_killed_and_the_server_restarts(server):
    arguments = ("ajobs.testing.handlers:router", "--queue", "Q", "--server", server.url, "--concurrency", "16")
    async with Client.connect(server.url, queue=QUEUE) as client:
        result = await client.enqueue_many(client.new_task("work", n) for n in range(TASKS))
        assert result.failed == []

        async def completed():
            return Counter([task.state async for task in client.tasks()])[TaskState.COMPLETE]

        async with worker_process(*arguments) as first, worker_process(*arguments):
            await first.wait_log("worker ready")
            while (await client.queue_info()).items > TASKS * 3 // 4:
                await asyncio.sleep(0.01)
            await first.kill()
            while (await client.queue_info()).items > TASKS // 2:
                await asyncio.sleep(0.01)
            server.kill()
            await server.start()
            async with asyncio.timeout(120):
                while (await client.queue_info()).items:
                    await asyncio.sleep(0.05)
        stored = {task.id: task async for task in client.tasks()}
        assert await completed() == TASKS
        assert sorted(client_result(task) for task in stored.values()) == [2 * n for n in range(TASKS)]
        assert {task.id for task in result.enqueued} == set(stored)
        # Only tasks that the killed worker or the outage interrupted ran twice.
        assert sum(task.tries > 1 for task in stored.values()) <= 4 * 16


def client_result(task):
    return int(bytes(task.result.payload))
