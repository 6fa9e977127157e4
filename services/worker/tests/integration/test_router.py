"""Routers with a real worker: lifespans, middleware, route options and processes."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec
import pytest

from ajobs.client import Client, Queue, TaskState
from ajobs.protocol.decisions import error_text
from ajobs.protocol.errors import TaskDiscardedError, TaskFailedError
from ajobs.protocol.retry import exponential_policy
from ajobs.testing.processes import wait_gone
from ajobs.testing.workers import wait_state, working
from ajobs.worker import Context, DiscardTask, RetryTask, Router, Worker, log_runs, recover, time_limit
from services.worker.tests.integration import compute


class Database:
    def __init__(self) -> None:
        self.rows: list[str] = []


class Settings(msgspec.Struct):
    greeting: str


@pytest.fixture
def router():
    return Router()


async def test_lifespans_run_around_the_worker_and_handlers_receive_their_values(client, router):
    events: list[str] = []

    @router.lifespan
    async def settings() -> AsyncGenerator[Settings]:
        events.append("settings open")
        yield Settings("hello")
        events.append("settings closed")

    @router.lifespan
    @asynccontextmanager
    async def database(settings: Settings) -> AsyncGenerator[Database]:
        events.append(f"database open, {settings.greeting}")
        yield Database()
        events.append("database closed")

    @router.handler("greet")
    async def greet(name: str, database: Database, settings: Settings, client: Client) -> str:
        database.rows.append(f"{settings.greeting} {name}")
        if name == "ann":
            await client.enqueue("greet", "bob", task_id="second")
        return database.rows[-1]

    @router.handler("rows")
    def rows(context: Context) -> list[str]:
        return context.state(Database).rows

    async with working(client, router):
        assert await client.result((await client.enqueue("greet", "ann")).id, timeout=30) == "hello ann"
        assert await client.result("second", timeout=30) == "hello bob"
        assert await client.result((await client.enqueue("rows")).id, timeout=30) == ["hello ann", "hello bob"]
        assert events == ["settings open", "database open, hello"]
    assert events[2:] == ["database closed", "settings closed"]


async def test_a_lifespan_that_fails_ends_the_worker_before_it_takes_a_task(client, router):
    @router.lifespan
    async def broken() -> AsyncGenerator[None]:
        raise ConnectionError("no database")
        yield

    router.add("t", lambda: "ran")
    task = await client.enqueue("t")
    with pytest.raises(ConnectionError, match="no database"):
        await Worker(client, router).run()
    assert (await client.load(task.id)).state is TaskState.NEW


async def test_unrouted_tasks_see_no_middleware(client, router):
    seen: list[str] = []

    def note(handle):
        async def call(context):
            seen.append(context.task.type)
            return await handle(context)

        return call

    router.use(note)
    router.add("known", lambda: "ran")
    async with working(client, router):
        unknown = await client.enqueue("unknown")
        assert await client.result((await client.enqueue("known")).id, timeout=30) == "ran"
        await wait_state(client, unknown.id, TaskState.RETRY)
    assert seen == ["known"]


async def test_shipped_middleware_works_together(client, router, caplog):
    caplog.set_level(logging.INFO)
    reported: list[str] = []
    router.use(log_runs(), recover(lambda error, context: reported.append(f"{context.task.type}: {error}")))

    @router.handler("slow", middleware=(time_limit(0.05),))
    async def slow() -> None:
        await asyncio.Event().wait()

    @router.handler("interrupted")
    async def interrupted() -> None:
        raise KeyboardInterrupt

    async with working(client, router):
        tasks = [await client.enqueue(task_type, max_tries=1) for task_type in ("slow", "interrupted")]
        states = [await client.wait(task.id, timeout=30) for task in tasks]
    assert [(task.state, task.last_err) for task in states] == [
        (TaskState.EXPIRED, "cancelled after the time limit of 0.05 s"),
        (TaskState.EXPIRED, "KeyboardInterrupt"),
    ]
    assert sorted(reported) == ["interrupted: ", "slow: cancelled after the time limit of 0.05 s"]
    assert "handler raised RecoveredError" in caplog.text
    ends = {record.task_id: record for record in caplog.records if record.getMessage() == "task ended"}
    assert "KeyboardInterrupt" in ends[tasks[1].id].exc_text


async def test_a_discarded_task_is_announced_and_deleted(client, router):
    @router.handler("t")
    async def discard() -> None:
        raise DiscardTask("no longer needed")

    task = await client.enqueue("t")
    async with client.watch(task.id) as events, working(client, router):
        with pytest.raises(TaskDiscardedError):
            await client.wait(task.id, timeout=30)
        announced = [await anext(events) for _ in range(2)]
    assert (announced[1].state, announced[1].last_error) == (TaskState.TERMINATED, "no longer needed")
    assert [task async for task in client.tasks()] == []


async def test_a_route_has_its_own_retry_policy_and_a_handler_its_own_delay(client, router, caplog):
    caplog.set_level(logging.INFO, "ajobs.task")
    hours = exponential_policy(first="1h", longest="1h", jitter=1)

    @router.handler("slowly", retry_policy=hours)
    async def slowly() -> None:
        raise ValueError("later")

    @router.handler("asked", retry_policy=hours)
    async def asked(context: Context) -> str:
        if context.task.tries == 1:
            raise RetryTask(after=0.01)
        return "done"

    async with working(client, router):
        waits = await client.enqueue("slowly")
        assert await client.result((await client.enqueue("asked")).id, timeout=30) == "done"
        await wait_state(client, waits.id, TaskState.RETRY)
    delays = [record.delay_s for record in caplog.records if getattr(record, "delay_s", None)]
    assert min(delays) == pytest.approx(0.01)
    assert max(delays) >= 3600


async def test_the_max_run_time_of_a_route_applies_within_that_of_the_queue(client, router):
    @router.handler("t", max_run_time=timedelta(milliseconds=50))
    async def forever(context: Context) -> None:
        assert context.remaining <= timedelta(seconds=0.05)
        await asyncio.Event().wait()

    async with working(client, router):
        task = await client.wait((await client.enqueue("t", max_tries=1)).id, timeout=30)
    assert task.last_err == "cancelled after the max run time of 50ms"


# ---- handlers in processes


async def test_handlers_that_compute_run_in_processes(client):
    async with working(client, compute.router):
        results = [await client.enqueue("cpu:square", n) for n in range(4)]
        values = [await client.result(task.id, timeout=60) for task in results]
    assert [value[0] for value in values] == [0, 1, 4, 9]
    assert os.getpid() not in {value[1] for value in values}


async def test_a_process_that_dies_fails_its_own_task_only(server):
    connecting = Client.connect(server.url, queue=Queue(name="Q"))
    async with connecting as client, working(client, compute.router):
        dying = [await client.enqueue("cpu:die", max_tries=2) for _ in range(3)]
        fine = [await client.enqueue("cpu:square", n) for n in range(8)]
        assert [(await client.result(task.id, timeout=60))[0] for task in fine] == [n * n for n in range(8)]
        for task in dying:
            with pytest.raises(TaskFailedError, match="process died: exit status 7"):
                await client.result(task.id, timeout=60)


@pytest.mark.parametrize(
    ("task_type", "state", "error"),
    [
        ("fail", "expired", "boom"),
        ("terminate", "terminated", "permanent failure"),
        ("later", "expired", "later"),
        ("own-constructor", "expired", "OwnConstructorError: 1 and 2"),
        ("panic", "expired", "Panic: oh"),
        ("interrupt", "expired", "KeyboardInterrupt"),
        ("exit", "expired", "the handler called sys.exit(4)"),
        ("exhausted", "expired", "the handler raised StopIteration: give next() a default, or catch it"),
        ("unpicklable", "expired", "Can't pickle local object 'unpicklable.<locals>.<lambda>'"),
    ],
)
async def test_exceptions_of_a_handler_come_back_from_its_process(client, task_type, state, error):
    async with working(client, compute.router):
        task = await client.wait((await client.enqueue(f"cpu:{task_type}", max_tries=1)).id, timeout=60)
        assert (task.state, task.last_err) == (state, error)
        # The pool still works.
        assert (await client.result((await client.enqueue("cpu:square", 3)).id, timeout=60))[0] == 9


async def test_a_timeout_kills_the_process_of_a_handler(server, tmp_path):
    # The first tries may end before their process has started.
    queue = Queue(name="Q", max_run_time=2)
    connecting = Client.connect(server.url, queue=queue)
    async with connecting as client, working(client, compute.router):
        task = await client.enqueue("cpu:hang", str(tmp_path / "pid"), max_tries=4)
        assert "max run time" in (await client.wait(task.id, timeout=60)).last_err
        await wait_gone(int((tmp_path / "pid").read_text()))


def test_an_exception_without_text_is_named():
    assert error_text(KeyboardInterrupt()) == "KeyboardInterrupt"
