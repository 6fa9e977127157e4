"""A store that refuses for a while costs no outcome, no run and no delivery."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from ajobs.client import Client, Queue, TaskState
from ajobs.protocol.timestamps import parse_timestamp
from ajobs.testing.nats_server import NatsServer
from ajobs.testing.workers import working
from ajobs.worker import Router

S = TaskState
SMALL = "jetstream { max_file_store: 2MB, max_memory_store: 10MB }\n"


@pytest.fixture
def router():
    return Router()


@asynccontextmanager
async def full_disk(client: Client) -> AsyncGenerator[None]:
    """Leave no space for tasks in the server's store within the block."""
    await client.storage.create_stream({"name": "FILL", "subjects": ["fill.>"], "storage": "file"})
    nats = client.connection.nats
    while b"error" not in (await nats.request("fill.x", b"f" * 900)).data:
        pass
    while b"error" not in (await nats.request("fill.x", b"f" * 50)).data:
        pass
    yield
    await nats.request("$JS.API.STREAM.PURGE.FILL", b"")


async def test_the_outcome_of_a_handler_outlasts_a_full_disk(router):
    began, release = asyncio.Event(), asyncio.Event()
    runs: list[str] = []

    @router.handler("pay")
    async def pay() -> str:
        runs.append("run")
        began.set()
        await release.wait()
        return "paid"

    queue = Queue(name="Q", max_run_time=2)
    async with (
        NatsServer.run(config=SMALL) as server,
        Client.connect(server.url, queue=queue) as client,
        working(client, router),
    ):
        task = await client.enqueue("pay", max_tries=1)
        await began.wait()
        async with full_disk(client):
            release.set()
            await asyncio.sleep(3)
        assert await client.result(task.id, timeout=30) == "paid"
    assert runs == ["run"]


async def test_deliveries_during_a_full_disk_do_not_use_up_the_tries(router):
    router.add("t", lambda: "done")
    queue = Queue(name="Q", max_run_time="1h", max_tries=1)
    async with NatsServer.run(config=SMALL) as server, Client.connect(server.url, queue=queue) as client:
        tasks = [await client.enqueue("t", max_tries=1) for _ in range(5)]
        async with AsyncExitStack() as stack:
            async with full_disk(client):
                await stack.enter_async_context(working(client, router, concurrency=3))
                await asyncio.sleep(5)
            ended = [await client.wait(task.id, timeout=30) for task in tasks]
    assert {task.state for task in ended} == {S.COMPLETE}


async def test_a_start_that_was_stored_late_is_stamped_again(server, router, monkeypatch):
    @router.handler("t")
    async def work() -> None:
        return None

    queue = Queue(name="Q", max_run_time=1)
    async with Client.connect(server.url, queue=queue) as client, working(client, router):
        tasks = client.storage.tasks
        starts: list[tuple[float, str]] = []
        save = tasks.save

        async def slow_save(task, revision, **more):
            if task.state is S.ACTIVE:
                starts.append((parse_timestamp(task.tried) / 1e9, task.id))
                if len(starts) == 1:
                    await asyncio.sleep(0.5)
            return await save(task, revision, **more)

        monkeypatch.setattr(type(tasks), "save", lambda _self, *values, **more: slow_save(*values, **more))
        ended = await client.wait((await client.enqueue("t")).id, timeout=30)
    assert ended.state is S.COMPLETE
    assert ended.tries == 1
    assert len(starts) == 2
    assert starts[1][0] - starts[0][0] > 0.4


async def test_items_that_a_stopping_worker_did_not_start_are_delivered_again(server, router):
    began, release = asyncio.Event(), asyncio.Event()

    @router.handler("t")
    async def work() -> None:
        began.set()
        await release.wait()

    queue = Queue(name="Q", max_run_time="1h", max_tries=1)
    async with Client.connect(server.url, queue=queue) as client:
        tasks = [await client.enqueue("t", max_tries=1) for _ in range(3)]
        async with working(client, router, concurrency=1) as worker:
            source = worker._feed.sources[0]
            source.least_ahead = 2
            await began.wait()
            async with asyncio.timeout(30):
                while len(source.buffer) < 2:
                    worker._feed._top_up()
                    await asyncio.sleep(0.01)
            worker.stop()
            release.set()
        async with working(client, router):
            ended = [await client.wait(task.id, timeout=30) for task in tasks]
    assert {task.state for task in ended} == {S.COMPLETE}
