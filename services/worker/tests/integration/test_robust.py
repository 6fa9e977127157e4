"""Failures that a worker survives: any exception of a handler, stops at any time, closed connections."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncGenerator

import pytest

from ajobs.client import Client, Queue, TaskState
from ajobs.protocol.errors import ConnectionFailedError, RunOverError
from ajobs.testing.processes import wait_gone, worker_process
from ajobs.testing.workers import wait_items, wait_state, working
from ajobs.worker import Context, RetryTask, Router, Share, Worker, WorkerOptions

S = TaskState
ONE_SLOT = WorkerOptions(concurrency=1)


class Panic(BaseException):
    """Stands for errors of libraries that are not an `Exception`."""


class NoTextError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("none")


@pytest.fixture
def router():
    return Router()


@pytest.fixture
async def client(server):
    """Return a client whose queue redelivers items after an hour."""
    queue = Queue(name="Q", max_run_time="1h")
    async with Client.connect(server.url, queue=queue) as connected:
        yield connected


# ---- exceptions of handlers


@pytest.mark.parametrize(
    ("error", "last_err"),
    [
        (Panic("oh"), "oh"),
        (BaseExceptionGroup("several", [Panic()]), "several (1 sub-exception)"),
        (NoTextError(), "NoTextError, whose text cannot be read: it raises RuntimeError"),
        (StopIteration(), "StopIteration"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
@pytest.mark.parametrize("kind", ["async", "plain"])
async def test_any_exception_of_a_handler_fails_only_its_task(client, router, error, last_err, kind):
    @router.handler("async")
    async def in_loop() -> None:
        raise error

    @router.handler("plain")
    def in_thread() -> None:
        raise error

    router.add("fine", lambda: "fine")
    async with working(client, router, concurrency=1):
        ended = await client.wait((await client.enqueue(kind, max_tries=1)).id, timeout=30)
        assert ended.state is S.EXPIRED
        assert last_err in ended.last_err
        assert await client.result((await client.enqueue("fine")).id, timeout=30) == "fine"


@pytest.mark.parametrize("after", ["soon", float("nan"), float("inf")])
async def test_an_invalid_delay_fails_the_try_with_a_reason(client, router, after):
    @router.handler("t")
    async def wrong() -> None:
        raise RetryTask("later", after=after)

    async with working(client, router, concurrency=1):
        ended = await client.wait((await client.enqueue("t", max_tries=1)).id, timeout=30)
    assert ended.state is S.EXPIRED
    assert ended.last_err != "later"


async def test_delays_are_capped_at_the_servers_maximum(client, router):
    @router.handler("t")
    async def never_again() -> None:
        raise RetryTask("in 30,000 years", after=1e12)

    async with working(client, router, concurrency=1):
        task = await client.enqueue("t")
        await wait_state(client, task.id, S.RETRY)
        # The server would redeliver the item immediately if it could not read the delay.
        await client.enqueue("t", task_id="second")
        await wait_state(client, "second", S.RETRY)
        assert (await client.load(task.id)).tries == 1


@pytest.mark.parametrize("kind", ["async", "plain"])
async def test_a_leftover_of_a_run_cannot_extend_it(server, router, kind):
    release = threading.Event()
    refused: asyncio.Queue[BaseException | None] = asyncio.Queue()
    left: list[asyncio.Task[None]] = []

    @router.handler("async")
    async def leaves_a_task(context: Context) -> None:
        async def ask_for_more() -> None:
            await asyncio.to_thread(release.wait)
            refused.put_nowait(await _raised(context.in_progress()))

        left.append(asyncio.create_task(ask_for_more()))

    @router.handler("plain")
    def outlives_its_time(context: Context) -> None:
        loop = context.run.loop
        release.wait()
        try:
            context.in_progress_from_thread()
        except RunOverError as e:
            loop.call_soon_threadsafe(refused.put_nowait, e)
        else:
            loop.call_soon_threadsafe(refused.put_nowait, None)

    queue = Queue(name="Q", max_run_time=0.5)
    async with Client.connect(server.url, queue=queue) as client, working(client, router):
        await client.wait((await client.enqueue(kind, max_tries=1)).id, timeout=30)
        release.set()
        async with asyncio.timeout(30):
            assert isinstance(await refused.get(), RunOverError)


async def _raised(awaitable) -> BaseException | None:
    try:
        await awaitable
    except RunOverError as e:
        return e
    return None


# ---- stops at the wrong time


async def test_a_second_stop_does_not_lose_a_result_on_its_way_to_the_server(server, client, router):
    returning = asyncio.Event()

    @router.handler("t")
    async def freeze() -> str:
        os.kill(server.pid, signal.SIGSTOP)  # from now on nothing is answered
        returning.set()
        return "done"

    async with asyncio.timeout(60):
        worker = Worker(client, router, ONE_SLOT)
        running = asyncio.create_task(worker.run())
        task = await client.enqueue("t")
        await returning.wait()
        try:
            while worker.running_tasks:
                await asyncio.sleep(0)
            worker.stop()
            worker.stop()
            for _ in range(10):  # long enough to be cancelled, if it was to be
                await asyncio.sleep(0)
        finally:
            os.kill(server.pid, signal.SIGCONT)
        await running
        assert await client.result(task.id) == "done"
        await wait_items(client, "Q", 0)


async def test_a_cancelled_worker_returns_its_items(server, client, router):
    other = await client.ensure_queue(Queue(name="OTHER", max_run_time="1h"))
    release = asyncio.Event()

    @router.handler("t")
    async def wait() -> str:
        await release.wait()
        return "done"

    async def work() -> None:
        # With two queues, one item of each waits in the worker.
        await Worker(client, router, WorkerOptions(queues=[Share(client.queue), Share(other)], concurrency=1)).run()

    running = asyncio.create_task(work())
    tasks = [await client.enqueue("t", queue=queue) for queue in ("Q", "OTHER") for _ in range(3)]
    async with asyncio.timeout(30):
        while sum([(await client.queue_info(queue)).in_progress for queue in ("Q", "OTHER")]) < 3:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.sleep(0.5)  # longer than it takes to give items back, and to get them again
    release.set()
    await asyncio.gather(running, return_exceptions=True)
    running = asyncio.create_task(work())
    for task in tasks:
        assert await client.result(task.id, timeout=30) == "done"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_worker_ends_after_its_handlers_when_the_connection_closes_permanently(server, router):
    began, release = asyncio.Event(), asyncio.Event()
    done: list[bool] = []

    @router.handler("t")
    async def work() -> None:
        began.set()
        await release.wait()
        done.append(True)

    async with Client.connect(server.url, queue="Q") as client:
        other = await client.ensure_queue(Queue(name="OTHER"))
        options = WorkerOptions(queues=[Share(client.queue), Share(other)], concurrency=1)
        worker = Worker(client, router, options)
        running = asyncio.create_task(worker.run())
        for queue in ("Q", "OTHER"):
            await client.enqueue("t", queue=queue)
            await client.enqueue("t", queue=queue)
        async with asyncio.timeout(30):
            await began.wait()
            while not any(source.buffer for source in worker._feed.sources):
                await asyncio.sleep(0.01)
        await client.storage.connection.nats.close()
        await asyncio.sleep(0)
        release.set()
        with pytest.raises(ConnectionFailedError, match="closed permanently"):
            await running
        assert done == [True]
        assert worker.busy == 0


async def test_a_killed_worker_leaves_no_process_behind(server, tmp_path):
    arguments = ("services.worker.tests.integration.compute:router", "--queue", "Q", "--server", server.url)
    async with Client.connect(server.url, queue="Q") as client, worker_process(*arguments) as worker:
        await client.enqueue("cpu:hang", str(tmp_path / "pid"))
        async with asyncio.timeout(30):
            while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
                await asyncio.sleep(0.01)
        worker.signal(signal.SIGKILL)
        await wait_gone(int((tmp_path / "pid").read_text()))


# ---- lifespans that hang


async def test_a_stop_does_not_wait_for_a_lifespan_that_hangs_in_its_setup(client, router):
    events: list[str] = []
    hanging = asyncio.Event()

    @router.lifespan
    async def first() -> AsyncGenerator[None]:
        yield
        events.append("first closed")

    @router.lifespan
    async def hangs() -> AsyncGenerator[None]:
        hanging.set()
        try:
            await asyncio.Event().wait()
        finally:
            events.append("second cancelled")
        yield

    router.add("t", lambda: "ran")
    task = await client.enqueue("t")
    worker = Worker(client, router, ONE_SLOT)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(30):
        await hanging.wait()
        worker.stop()
        await running
    assert events == ["second cancelled", "first closed"]
    assert (await client.load(task.id)).state is S.NEW


async def test_another_stop_does_not_wait_for_a_lifespan_that_hangs_in_its_teardown(client, router):
    events: list[str] = []
    closing = asyncio.Event()

    @router.lifespan
    async def first() -> AsyncGenerator[None]:
        try:
            yield
        finally:
            events.append("first closed")

    @router.lifespan
    async def hangs() -> AsyncGenerator[None]:
        yield
        closing.set()
        await asyncio.Event().wait()

    router.add("t", lambda: "ran")
    worker = Worker(client, router, ONE_SLOT)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(30):
        assert await client.result((await client.enqueue("t")).id, timeout=30) == "ran"
        worker.stop()
        await closing.wait()
        worker.stop()
        await running
    assert events == ["first closed"]


async def test_a_worker_stopped_before_its_run_takes_no_tasks(client, router):
    router.add("t", lambda: "ran")
    task = await client.enqueue("t")
    worker = Worker(client, router, ONE_SLOT)
    worker.stop()
    await worker.run()
    assert (await client.load(task.id)).state is S.NEW
    await wait_items(client, "Q", 1)
