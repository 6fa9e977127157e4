"""Each kind of item, task and handler, and its effect on the task."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from datetime import timedelta

import msgspec
import pytest

from ajobs.client import Client, Queue, TaskState
from ajobs.protocol.codec import encode
from ajobs.protocol.decisions import start
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import ConfigurationError, NotFoundError, TaskFailedError, TaskNotFoundError
from ajobs.protocol.item import WorkItem
from ajobs.protocol.subjects import item_subject, task_subject
from ajobs.protocol.task import new_task
from ajobs.protocol.timestamps import format_timestamp, parse_timestamp
from ajobs.testing.workers import wait_items, wait_state, working
from ajobs.worker import Context, RetryTask, Router, Task, TerminateTask, Worker

S = TaskState
SHORT_NS = 300_000_000


@pytest.fixture
def router():
    return Router()


@pytest.fixture
async def client(server):
    async with Client.connect(server.url, queue=Queue(name="Q")) as connected:
        yield connected


@pytest.fixture
async def short(server):
    """Return a client whose queue has a short max run time."""
    queue = Queue(name="SHORT", max_run_time=SHORT_NS / SECOND_NS)
    async with Client.connect(server.url, queue=queue) as connected:
        yield connected


async def ends(client, task, state):
    ended = await client.wait(task.id, timeout=30)
    assert ended.state is state
    return ended


# ---- handlers


class Email(msgspec.Struct):
    to: str
    copies: int = 1


async def test_async_and_plain_handlers_receive_their_payload_and_return_a_result(client, router):
    threads: set[int] = set()

    @router.handler("async")
    async def send(email: Email) -> str:
        threads.add(threading.get_ident())
        return email.to

    @router.handler("plain")
    def count(email: Email) -> dict[str, int]:
        threads.add(threading.get_ident())
        return {"copies": email.copies}

    async with working(client, router, concurrency=8):
        one = await client.enqueue("async", {"to": "x"})
        two = await client.enqueue("plain", Email("y", 3))
        assert await client.result(one.id, str, timeout=30) == "x"
        assert await client.result(two.id, dict[str, int], timeout=30) == {"copies": 3}
    assert len(threads) == 2
    done = await client.load(one.id)
    assert (done.state, done.tries, done.last_err) == (S.COMPLETE, 1, "")
    assert (await client.queue_info()).items == 0


async def test_bytes_become_a_base64_text_as_in_go(client, router):
    router.add("t", lambda: b"raw bytes")
    async with working(client, router, concurrency=8):
        assert await client.result((await client.enqueue("t")).id, timeout=30) == "cmF3IGJ5dGVz"


async def test_a_handler_knows_its_task_its_time_and_its_logger(short, router, caplog):
    caplog.set_level(logging.INFO, "ajobs.handler")

    @router.handler("t")
    async def look(payload: int, context: Context, task: Task) -> list[str | bool]:
        context.logger.info("looking")
        remains = 0 < context.remaining.total_seconds() <= SHORT_NS / 1e9
        return [task.id, context.task.id, task.state, remains, context.deadline.timestamp() > time.time()]

    async with working(short, router, concurrency=2):
        task = await short.enqueue("t", 1)
        assert await short.result(task.id, timeout=30) == [task.id, task.id, "active", True, True]
    assert [vars(record)["task_id"] for record in caplog.records] == [task.id]


async def test_a_payload_of_the_wrong_type_terminates_the_task_and_names_the_path(client, router):
    @router.handler("t")
    async def send(email: Email) -> None: ...

    async with working(client, router, concurrency=8):
        ended = await ends(client, await client.enqueue("t", {"to": 3}), S.TERMINATED)
    assert "$.to" in ended.last_err
    assert ended.tries == 1


async def test_a_failed_task_is_retried_until_it_succeeds_and_keeps_its_error_until_then(client, router):
    seen: list[tuple[int, str]] = []

    @router.handler("t")
    async def flaky(task: Task) -> str:
        seen.append((task.tries, task.last_err))
        if task.tries < 3:
            raise ValueError(f"boom {task.tries}")
        return "worked"

    async with working(client, router, concurrency=8), client.watch() as events:
        task = await client.enqueue("t")
        assert await client.result(task.id, timeout=30) == "worked"
        states = [(await anext(events)) for _ in range(7)]
    assert seen == [(1, ""), (2, ""), (3, "")]
    assert [event.state for event in states] == ["new", "active", "retry", "active", "retry", "active", "complete"]
    assert [event.last_error for event in states if event.state == "retry"] == ["boom 1", "boom 2"]


async def test_a_task_without_tries_left_is_expired_with_its_last_error(client, router):
    router.add("t", lambda: 1 / 0)
    async with working(client, router, concurrency=8):
        ended = await ends(client, await client.enqueue("t", max_tries=2), S.EXPIRED)
    assert (ended.tries, ended.last_err) == (2, "division by zero")
    await wait_items(client, "Q", 0)


async def test_a_handler_can_terminate_its_task_or_choose_the_time_of_the_retry(client, router):
    @router.handler("stop")
    async def stop() -> None:
        raise TerminateTask("permanent failure")

    @router.handler("later")
    async def later(task: Task) -> str:
        if task.tries == 1:
            raise RetryTask("not yet", after=timedelta(milliseconds=1))
        return "now"

    async with working(client, router, concurrency=8):
        assert (await ends(client, await client.enqueue("stop"), S.TERMINATED)).last_err == "permanent failure"
        assert await client.result((await client.enqueue("later")).id, timeout=30) == "now"


async def test_a_type_without_a_handler_fails_and_is_retried(client, router):
    router.add("t", lambda: 1)
    async with working(client, router, concurrency=8):
        ended = await ends(client, await client.enqueue("unknown", max_tries=2), S.EXPIRED)
    assert ended.last_err == 'no handler for task type "unknown"'


@pytest.mark.parametrize("value", [object(), {1, "x", object()}], ids=["object", "set"])
async def test_a_result_that_cannot_be_encoded_terminates_the_task(client, router, value):
    router.add("t", lambda: value)
    async with working(client, router, concurrency=8):
        assert "result" in (await ends(client, await client.enqueue("t"), S.TERMINATED)).last_err


async def test_a_result_larger_than_max_payload_terminates_the_task(client, router):
    router.add("t", lambda: "x" * 2_000_000)
    async with working(client, router, concurrency=8):
        assert "cannot be stored" in (await ends(client, await client.enqueue("t"), S.TERMINATED)).last_err
        # The connection stays open.
        assert (await ends(client, await client.enqueue("t"), S.TERMINATED)).tries == 1


async def test_an_error_that_is_too_long_or_not_encodable_is_kept_in_part(client, router, caplog):
    # Parallel test processes cannot send such a text to each other.
    caplog.set_level(logging.CRITICAL)

    @router.handler("odd")
    def odd() -> None:
        raise ValueError("\udc80 odd")

    @router.handler("long")
    def long() -> None:
        raise ValueError("é" * 3_000_000)

    async with working(client, router, concurrency=8):
        assert "odd" in (await ends(client, await client.enqueue("odd", max_tries=1), S.EXPIRED)).last_err
        assert len((await ends(client, await client.enqueue("long", max_tries=1), S.EXPIRED)).last_err) < 10_000


@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError()], ids=repr)
@pytest.mark.parametrize("kind", ["async", "plain"])
async def test_a_handler_cannot_end_the_worker(client, router, error, kind):
    @router.handler("async")
    async def in_loop() -> None:
        raise error

    @router.handler("plain")
    def in_thread() -> None:
        raise error

    router.add("fine", lambda: "fine")
    async with working(client, router, concurrency=8):
        await ends(client, await client.enqueue(kind, max_tries=1), S.EXPIRED)
        assert await client.result((await client.enqueue("fine")).id, timeout=30) == "fine"


# ---- time


@pytest.mark.parametrize("kind", ["async", "plain"])
async def test_a_handler_is_cancelled_at_the_max_run_time(short, router, kind):
    release = threading.Event()
    cancelled = asyncio.Event()

    @router.handler("async")
    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    @router.handler("plain")
    def stuck() -> None:
        release.wait(30)

    async with working(short, router, concurrency=2):
        ended = await ends(short, await short.enqueue(kind, max_tries=1), S.EXPIRED)
        assert ended.last_err == "cancelled after the max run time of 300ms"
        release.set()
    assert cancelled.is_set() == (kind == "async")


async def test_a_handler_that_extends_its_run_may_take_longer(short, router):
    runs: list[int] = []

    @router.handler("async")
    async def slow(context: Context, task: Task) -> str:
        runs.append(task.tries)
        for _ in range(4):
            await asyncio.sleep(SHORT_NS / 2e9)
            await context.in_progress()
        return "done"

    @router.handler("plain")
    def slow_in_thread(context: Context) -> str:
        for _ in range(4):
            time.sleep(SHORT_NS / 2e9)
            context.in_progress_from_thread()
        return "done"

    async with working(short, router, concurrency=2):
        tasks = [await short.enqueue("async"), await short.enqueue("plain")]
        for task in tasks:
            assert await short.result(task.id, timeout=30) == "done"
            assert (await short.load(task.id)).tries == 1
    assert runs == [1]


async def test_a_task_past_its_deadline_expires_without_a_run(client, router):
    ran: list[str] = []
    router.add("t", lambda: ran.append("late"))
    task = await client.enqueue("t", deadline=timedelta(milliseconds=-1))
    async with working(client, router, concurrency=8):
        ended = await ends(client, task, S.EXPIRED)
        await wait_items(client, "Q", 0)
    assert (ended.tries, ran) == (0, [])


# ---- dependencies


async def test_a_dependent_waits_for_its_parents_and_receives_their_results(client, router, monkeypatch):
    monkeypatch.setattr("ajobs.worker.running.admission.BLOCKED_DELAY_NS", 10**7)
    go = asyncio.Event()

    @router.handler("parent")
    async def parent(payload: int) -> int:
        await go.wait()
        return payload * 10

    @router.handler("child")
    async def child(context: Context, task: Task) -> list[int]:
        with pytest.raises(NotFoundError):
            context.dependency_result("stranger")
        results = context.dependency_results(int)
        return [results[parent_id] for parent_id in task.dependencies or ()]

    parents = [await client.enqueue("parent", number) for number in (1, 2)]
    task = await client.enqueue("child", depends_on=parents, load_dependencies=True)
    async with working(client, router, concurrency=8):
        await wait_state(client, parents[0].id, S.ACTIVE)
        assert (await client.load(task.id)).state is S.BLOCKED
        go.set()
        assert await client.result(task.id, timeout=30) == [10, 20]


async def test_results_that_are_too_large_together_end_the_task_that_loads_them(client, router):
    router.add("page", lambda: "p" * 400_000)
    router.add("book", lambda: "done")
    pages = [await client.enqueue("page") for _ in range(3)]
    async with working(client, router, concurrency=8):
        book = await client.enqueue("book", depends_on=pages, load_dependencies=True)
        ended = await ends(client, book, S.UNREACHABLE)
        assert "results of its dependencies are too large" in ended.last_err
        assert (ended.tries, ended.dependency_results) == (0, None)
        await wait_items(client, "Q", 0)


async def test_a_failed_parent_makes_direct_and_indirect_dependents_unreachable(client, router, monkeypatch):
    monkeypatch.setattr("ajobs.worker.running.admission.BLOCKED_DELAY_NS", 10**7)

    @router.handler("parent")
    async def parent() -> None:
        raise TerminateTask("no")

    router.add("child", lambda: 1)
    first = await client.enqueue("parent")
    child = await client.enqueue("child", depends_on=[first])
    grandchild = await client.enqueue("child", depends_on=[child])
    orphan = await client.enqueue("child", depends_on=["missing"])
    async with working(client, router, concurrency=8):
        assert f"{first.id} is terminated" in (await ends(client, child, S.UNREACHABLE)).last_err
        assert f"{child.id} is unreachable" in (await ends(client, grandchild, S.UNREACHABLE)).last_err
        assert "missing is not found" in (await ends(client, orphan, S.UNREACHABLE)).last_err
        with pytest.raises(TaskFailedError):
            await client.result(orphan.id)
        await wait_items(client, "Q", 0)


async def test_a_blocked_task_outlasts_the_deliveries_that_its_queue_allows(server, router, monkeypatch):
    monkeypatch.setattr("ajobs.worker.running.admission.BLOCKED_DELAY_NS", 10**6)
    go = asyncio.Event()
    looks: list[int] = []

    @router.handler("parent")
    async def parent() -> None:
        await go.wait()

    router.add("child", lambda: "reached")
    async with Client.connect(server.url, queue=Queue(name="Q", max_tries=3)) as client:
        load_many = client.storage.tasks.load_many

        async def counted(ids):
            looks.append(1)
            if len(looks) == 10:
                go.set()
            return await load_many(ids)

        monkeypatch.setattr(client.storage.tasks, "load_many", counted)
        first = await client.enqueue("parent")
        child = await client.enqueue("child", depends_on=[first])
        async with working(client, router, concurrency=8):
            assert await client.result(child.id, timeout=30) == "reached"


# ---- corrupt and unexpected items and tasks


async def test_a_corrupt_item_is_removed(client, router):
    router.add("t", lambda: "fine")
    js = client.storage.connection.nats.jetstream()
    for number, data in enumerate((b"", b"nonsense", b'{"kind":9,"job":"x"}', b'{"kind":0,"job":""}')):
        await js.publish(item_subject("Q", f"bad{number}"), data)
    async with working(client, router, concurrency=8):
        assert await client.result((await client.enqueue("t")).id, timeout=30) == "fine"
        await wait_items(client, "Q", 0)


async def test_an_item_without_a_task_is_removed(client, router):
    router.add("t", lambda: 1)
    task = await client.enqueue("t")
    await client.delete(task.id)
    async with working(client, router, concurrency=8):
        await wait_items(client, "Q", 0)
    with pytest.raises(TaskNotFoundError):
        await client.load(task.id)


async def test_an_item_of_a_corrupt_task_is_kept_until_the_task_is_repaired(client, router):
    router.add("t", lambda: "fine")
    task = await client.enqueue("t")
    js = client.storage.connection.nats.jetstream()
    await js.publish(task_subject(task.id), b"nonsense")
    async with working(client, router, concurrency=8):
        while (await client.queue_info()).redelivered == 0:
            await asyncio.sleep(0.01)
        await js.publish(task_subject(task.id), encode(task))
        assert await client.result(task.id, timeout=30) == "fine"


@pytest.mark.parametrize("state", [S.COMPLETE, S.EXPIRED, S.TERMINATED, S.UNREACHABLE])
async def test_an_item_of_a_finished_task_is_acknowledged_and_not_run(client, router, state):
    ran: list[int] = []
    router.add("t", lambda: ran.append(1))
    task = await client.enqueue("t")
    stored = await client.storage.tasks.load(task.id)
    await client.storage.tasks.save(msgspec.structs.replace(task, state=state), stored.revision)
    async with working(client, router, concurrency=8):
        await wait_items(client, "Q", 0)
    assert ran == []


async def test_an_active_task_is_left_to_its_worker_until_its_max_run_time_ends(short, router):
    runs: list[int] = []
    router.add("t", lambda: runs.append(1))
    task = await short.enqueue("t")
    stored = await short.storage.tasks.load(task.id)
    began = time.time_ns()
    await short.storage.tasks.save(start(task, began), stored.revision)
    async with working(short, router, concurrency=2):
        ended = await ends(short, task, S.COMPLETE)
    assert ended.tries == 2
    assert ended.tried is not None
    assert parse_timestamp(ended.tried) >= began + SHORT_NS


async def test_a_task_that_changed_during_its_run_is_left_as_it_is(client, router):
    running, go = asyncio.Event(), asyncio.Event()

    @router.handler("t")
    async def slow() -> str:
        running.set()
        await go.wait()
        return "too late"

    task = await client.enqueue("t")
    async with working(client, router, concurrency=8):
        await running.wait()
        stored = await client.storage.tasks.load(task.id)
        taken = msgspec.structs.replace(stored.task, last_err="changed by another client")
        await client.storage.tasks.save(taken, stored.revision)
        go.set()
    assert (await client.load(task.id)) == taken
    assert (await client.queue_info()).items == 1


async def test_a_task_in_queue_error_with_an_item_runs(client, router):
    router.add("t", lambda: "ran")
    failed = new_task("t", None, task_id="odd", now_ns=time.time_ns(), queue="Q")
    await client.storage.tasks.save(msgspec.structs.replace(failed, state=S.QUEUE_ERROR), 0)
    await client.storage.items.put("Q", "odd", again=False)
    async with working(client, router, concurrency=8):
        await wait_state(client, "odd", S.COMPLETE)


async def test_states_to_discard_are_announced_and_then_deleted(server, router):
    router.add("t", lambda: "gone")
    router.add("late", lambda: 1)
    states = ("completed", "expired")
    async with Client.connect(server.url, queue="Q") as client, client.watch() as events:
        async with working(client, router, discard_states=states):
            task = await client.enqueue("t")
            late = await client.enqueue("late", deadline=timedelta(seconds=-1))
            ended = {task.id: None, late.id: None}
            while None in ended.values():
                event = await anext(events)
                if event.state in {"complete", "expired"}:
                    ended[event.task_id] = event.state
            await wait_items(client, "Q", 0)
        assert list(ended.values()) == ["complete", "expired"]
        for task_id in ended:
            with pytest.raises(TaskNotFoundError):
                await client.load(task_id)


def test_a_router_without_handlers_is_refused(client):
    with pytest.raises(ConfigurationError, match="no handler"):
        Worker(client, Router())


async def test_a_task_left_active_by_a_dead_go_worker_runs(client, router):
    """A task of a dead Go worker: active for a long time, with its try not counted."""
    router.add("t", lambda: "ran")
    started = format_timestamp(time.time_ns() - 2 * 3600 * 10**9)
    left = msgspec.structs.replace(client.new_task("t", 1), queue="Q", state=S.ACTIVE, tried=started, tries=0)
    js = client.storage.connection.nats.jetstream()
    await js.publish(task_subject(left.id), encode(left))
    await js.publish(item_subject("Q", left.id), encode(WorkItem(job=left.id)))
    async with working(client, router, concurrency=8):
        assert await client.result(left.id, timeout=30) == "ran"
