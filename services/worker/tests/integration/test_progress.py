"""What a worker says when it makes no progress, and refusals of handlers that would make none."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
import time

import msgspec
import pytest

from ajobs.client import Client, ConfigurationError, Queue, TaskState
from ajobs.testing.processes import worker_process
from ajobs.testing.workers import working
from ajobs.worker import Command, Context, Router
from ajobs.worker.routing.table import RoutingTable
from ajobs.worker.running import watchdog

S = TaskState
DICT_CONFIG = """
import logging.config
from ajobs.worker import Router
logging.config.dictConfig({"version": 1, "disable_existing_loggers": True, "root": {"level": "ERROR"}})
router = Router()
router.add("t", lambda: "done")
"""


@pytest.fixture
def router():
    return Router()


@pytest.fixture
async def client(server):
    async with Client.connect(server.url, queue=Queue(name="Q", max_run_time=1)) as connected:
        yield connected


async def test_a_task_past_its_deadline_says_so(client, router):
    router.add("t", lambda: None)
    task = await client.enqueue("t", deadline=0.05)
    await asyncio.sleep(0.1)
    async with working(client, router):
        ended = await client.wait(task.id, timeout=30)
    assert ended.state is S.EXPIRED
    assert ended.last_err == f"past its deadline of {task.deadline} before it could start"


async def test_a_task_whose_worker_was_lost_says_so(client, router, server):
    router.add("cpu:hang", lambda: None)
    arguments = ("services.worker.tests.integration.misbehaving:router", "--queue", "Q", "--server", server.url)
    async with worker_process(*arguments) as worker:
        task = await client.enqueue("kill", max_tries=1)
        assert await worker.ended() == -signal.SIGKILL
    async with working(client, router):
        ended = await client.wait(task.id, timeout=30)
    assert ended.state is S.EXPIRED
    assert "the worker of try 1 was lost" in ended.last_err


async def test_a_worker_whose_slots_are_all_overdue_is_not_ready(client, router):
    release = threading.Event()
    router.add("t", lambda: release.wait(60))
    async with working(client, router, concurrency=2) as worker:
        assert worker.problems()["slots"] is None
        for _ in range(2):
            await client.wait((await client.enqueue("t", max_tries=1)).id, timeout=30)
        problem = worker.problems()["slots"]
        assert problem is not None
        assert "all 2 are taken by handlers past their max run time, such as the handler of task" in problem
        release.set()
        async with asyncio.timeout(30):
            while worker.problems()["slots"]:
                await asyncio.sleep(0.01)


async def test_a_blocked_event_loop_is_logged_with_its_handler(client, router, caplog, monkeypatch):
    monkeypatch.setattr(watchdog, "BEAT_S", 0.05)
    monkeypatch.setattr(watchdog, "BLOCKED_S", 0.2)

    @router.handler("blocks")
    async def block() -> None:
        time.sleep(0.6)  # noqa: ASYNC251 - on purpose

    with caplog.at_level(logging.WARNING):
        async with working(client, router):
            task = await client.enqueue("blocks")
            await client.wait(task.id, timeout=30)
            await asyncio.sleep(0.2)
    assert f"by the handler of task {task.id} (type blocks) at {__file__}" in caplog.text
    assert "runs again" in caplog.text


async def test_an_async_handler_behind_a_plain_wrapper_is_awaited(client, router):
    async def inner() -> str:
        return "awaited"

    router.add("lambda", lambda text="awaited": inner() if text else None)
    async with working(client, router):
        for task_type in ("lambda",):
            assert await client.result((await client.enqueue(task_type)).id, timeout=30) == "awaited"


def test_a_generator_is_refused_with_the_remedy():
    def yields():
        yield 1

    async def yields_async():
        yield 1

    for handler in (yields, yields_async):
        router = Router()
        router.add("t", handler)
        with pytest.raises(ConfigurationError, match="return the result instead of yielding"):
            RoutingTable.of(router, ())


async def test_extending_from_a_thread_is_refused_in_an_async_handler(client, router):
    @router.handler("t")
    async def extend(context: Context) -> None:
        context.in_progress_from_thread()

    async with working(client, router):
        ended = await client.wait((await client.enqueue("t", max_tries=1)).id, timeout=30)
    assert "use await context.in_progress()" in ended.last_err


async def test_output_of_control_characters_fits_into_the_task(client, router):
    router.add("t", Command(sys.executable, "-c", "print('\\0' * 1_000_000)"))
    async with working(client, router):
        ended = await client.wait((await client.enqueue("t", max_tries=1)).id, timeout=30)
    assert ended.state is S.COMPLETE
    assert ended.result is not None
    assert "[cut off after" in msgspec.json.decode(ended.result.payload)


async def test_logging_configuration_of_a_router_does_not_silence_the_worker(server, client, tmp_path):
    (tmp_path / "configured.py").write_text(DICT_CONFIG)
    arguments = ("configured:router", "--queue", "Q", "--server", server.url)
    async with worker_process(*arguments, cwd=tmp_path) as worker:
        await worker.wait_log("worker ready")
