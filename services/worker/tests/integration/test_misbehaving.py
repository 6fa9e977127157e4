"""Handlers that harm their slot, their event loop or their process harm only their own task."""

from __future__ import annotations

import asyncio
import contextvars
import decimal
import logging
import signal

import pytest

from ajobs.client import Client, Queue, TaskState
from ajobs.testing.processes import wait_gone, worker_process
from ajobs.testing.workers import working
from ajobs.worker import Router
from ajobs.worker.running import run as runs

S = TaskState
seen: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="nothing")


@pytest.fixture
def router():
    made = Router()

    @made.handler("fine")
    async def fine() -> list[object]:
        return [seen.get(), decimal.getcontext().prec]

    return made


@pytest.fixture
async def client(server):
    async with Client.connect(server.url, queue=Queue(name="Q", max_run_time="1h")) as connected:
        yield connected


async def _fails_alone(client: Client, router: Router, last_err: str) -> None:
    """Run the handler ``bad`` in the only slot: its try fails, and the slot then runs another task unharmed."""
    async with working(client, router, concurrency=1):
        ended = await client.wait((await client.enqueue("bad", max_tries=3)).id, timeout=30)
        assert (ended.state, ended.tries) == (S.EXPIRED, 3)
        assert last_err in ended.last_err
        assert await client.result((await client.enqueue("fine")).id, timeout=30) == ["nothing", 28]


async def test_a_failing_task_group_fails_the_try(client, router):
    async def fail() -> None:
        raise ValueError("in the group")

    @router.handler("bad")
    async def bad() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                await asyncio.sleep(60)
        except* ValueError:
            pass
        await asyncio.sleep(0)
        raise ValueError("after the group")

    await _fails_alone(client, router, "after the group")


async def test_a_handler_that_cancels_itself_fails_the_try(client, router):
    @router.handler("bad")
    async def bad() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(60)

    await _fails_alone(client, router, "cancelled by something")


async def test_a_late_cancellation_does_not_reach_the_save_of_the_outcome(client, router):
    @router.handler("bad")
    async def bad() -> None:
        task = asyncio.current_task()
        assert task is not None
        for delay in (0, 0.0005, 0.001, 0.002):
            asyncio.get_running_loop().call_later(delay, task.cancel)
        raise ValueError("with a cancellation under way")

    await _fails_alone(client, router, "with a cancellation under way")


@pytest.mark.parametrize("error", [GeneratorExit, KeyboardInterrupt, SystemExit])
async def test_exceptions_that_end_more_than_a_task_fail_the_try(client, router, error):
    @router.handler("bad")
    async def bad() -> None:
        raise error

    await _fails_alone(client, router, "sys.exit" if error is SystemExit else error.__name__)


async def test_context_variables_and_decimal_precision_stay_in_their_run(client, router):
    decimal.getcontext()  # of the context that the worker starts in

    @router.handler("bad")
    async def bad() -> None:
        seen.set("secret")
        decimal.getcontext().prec = 5
        raise ValueError("oh")

    await _fails_alone(client, router, "oh")
    assert decimal.getcontext().prec == 28


async def test_a_slot_that_is_cancelled_is_replaced(client, router, caplog):
    @router.handler("bad")
    async def bad() -> None:
        for task in asyncio.all_tasks():
            if task.get_name().startswith("slot"):
                task.cancel()

    async with asyncio.timeout(30), working(client, router, concurrency=2):
        with caplog.at_level(logging.ERROR):
            await client.wait((await client.enqueue("bad", max_tries=1)).id, timeout=30)
            for _ in range(4):
                await client.result((await client.enqueue("fine")).id, timeout=30)
    assert "slot" in caplog.text
    assert "another slot takes its place" in caplog.text


async def test_the_try_of_a_handler_that_swallows_its_cancellation_fails(server, router, monkeypatch, caplog):
    monkeypatch.setattr(runs, "UNWIND_S", 0.1)
    release = asyncio.Event()
    begun: list[str] = []

    @router.handler("bad")
    async def bad() -> str:
        begun.append("run")
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return "too late"

    queue = Queue(name="SHORT", max_run_time=0.4)
    async with Client.connect(server.url, queue=queue) as client, working(client, router, concurrency=2):
        task = await client.enqueue("bad", max_tries=1)
        ended = await client.wait(task.id, timeout=30)
        assert ended.state is S.EXPIRED
        assert "did not stop when cancelled after the max run time" in ended.last_err
        # Its slot stays taken, and the other one works.
        assert await client.result((await client.enqueue("fine")).id, timeout=30) == ["nothing", 28]
        release.set()
        assert (await client.load(task.id)).state is S.EXPIRED
    assert begun == ["run"]
    assert f"the handler of task {task.id} (type bad) did not stop" in caplog.text


# ---- whole processes


def _process(url: str):
    return worker_process("services.worker.tests.integration.misbehaving:router", "--queue", "Q", "--server", url)


@pytest.mark.parametrize(
    ("task_type", "line"),
    [
        ("stop_loop", "Handlers that run now: stop_loop"),
        ("interrupt", "KeyboardInterrupt"),
        ("leave_thread", ""),
        ("fork", "called os.fork()"),
        ("fork_thread", "called os.fork()"),
    ],
)
async def test_a_worker_survives_a_handler_and_stops_in_time(server, client, task_type, line):
    async with _process(server.url) as worker:
        await worker.wait_log("worker ready")
        task = await client.enqueue(task_type, max_tries=1)
        ended = await client.wait(task.id, timeout=30)
        if line:
            assert line in await worker.wait_log(line)
        if "fork" in task_type:
            assert ended.result is not None
            await wait_gone(int(bytes(ended.result.payload)))
        assert await client.result((await client.enqueue("fine")).id, timeout=30) == "fine"
        worker.signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await worker.ended() == 0
    assert ("left behind" in "".join(worker.log)) is (task_type == "leave_thread")
