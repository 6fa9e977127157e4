"""Each role of the stack has the permissions for its work, and no others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from ajobs.client import Client, Queue, TaskState
from ajobs.client.maintenance.janitor import Janitor
from ajobs.protocol.buckets import bucket_config
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import PermissionDeniedError, TaskFailedError
from ajobs.protocol.events import TaskStateEvent
from ajobs.testing.processes import program, worker_process
from ajobs.testing.workers import wait_items, working
from ajobs.worker import Context, Router, TerminateTask
from scripts.nats_accounts import PRESETS
from tests.integration.accounts import Accounts, accounts

ROLES = ("producer", "worker", "scheduler", "admin")
HANDLERS = "ajobs.testing.handlers:router"


@pytest.fixture(params=PRESETS)
async def stack(request: pytest.FixtureRequest) -> AsyncGenerator[Accounts]:
    async with accounts("Q", "OTHER", preset=request.param) as running:
        yield running


# ---- permitted


async def test_a_producer_and_a_worker_have_all_permissions_for_tasks(stack: Accounts):
    router, failed = Router(), set()

    @router.handler("add")
    async def add(numbers: list[int]) -> int:
        return sum(numbers)

    @router.handler("sum")
    async def total(context: Context) -> int:
        return sum(context.dependency_results(int).values())

    @router.handler("fails-once")
    async def fails_once(context: Context) -> str:
        if context.task.id not in failed:
            failed.add(context.task.id)
            raise RuntimeError("not yet")
        return "done"

    @router.handler("ends")
    async def ends() -> None:
        raise TerminateTask("permanent failure")

    @router.handler("continues")
    async def continues() -> str:
        return (await consumer.enqueue("add", [3, 4])).id

    async with (
        stack.connect("producer", queue="Q") as producer,
        stack.connect("worker", queue="Q") as consumer,
        working(consumer, router, discard_states=("expired",)),
    ):
        parents = [await producer.enqueue("add", [n, n]) for n in range(3)]
        child = await producer.enqueue("sum", depends_on=parents, load_dependencies=True)
        assert await producer.result(child.id, int, timeout=30) == 6
        assert await producer.result((await producer.enqueue("fails-once")).id, timeout=30) == "done"
        with pytest.raises(TaskFailedError):
            await producer.result((ended := await producer.enqueue("ends")).id, timeout=30)
        await producer.retry(ended.id)
        assert (await producer.wait(ended.id, timeout=30)).state is TaskState.TERMINATED
        follow_up = await producer.result((await producer.enqueue("continues")).id, str, timeout=30)
        assert await producer.result(follow_up, timeout=30) == 7
        many = await producer.enqueue_many(producer.new_task("add", [n, 1]) for n in range(100))
        assert not many.failed
        for task in many.enqueued:
            await producer.wait(task.id, timeout=30)
        async with producer.watch() as events:
            late = await producer.enqueue("add", [1], deadline=timedelta(microseconds=1))
            while (event := await anext(events)).state is not TaskState.EXPIRED:
                pass
            assert event.task_id == late.id
        async with stack.connect("admin", queue="Q") as admin:
            await wait_items(admin, "Q", 0)  # each was acknowledged
    assert stack.refused() == []


async def test_a_worker_process_announces_itself_and_hands_back_unfinished_tasks(stack: Accounts):
    async with (
        stack.connect("admin", queue="Q") as admin,
        worker_process(HANDLERS, "--queue", "Q,OTHER", "--grace", "0s", **stack.environment("worker")) as worker,
    ):
        await worker.wait_log("worker ready")
        async with asyncio.timeout(30):
            while not await admin.workers():
                await asyncio.sleep(0.05)
        task = await admin.enqueue("slow", 600)
        async with admin.watch(task.id) as events, asyncio.timeout(30):
            while (await admin.load(task.id)).state is not TaskState.ACTIVE:
                await anext(events)
        worker.signal(15)
        assert await worker.ended() == 0
        assert (await admin.load(task.id)).state is TaskState.RETRY
        assert await admin.workers() == []
        assert "may not" not in "".join(worker.log)
    assert stack.refused() == []


async def test_schedulers_elect_a_leader_that_creates_tasks_and_stores_its_progress(stack: Accounts):
    async with stack.connect("admin", queue="Q") as admin:
        jetstream = admin.storage.jetstream
        await jetstream.call(f"STREAM.DELETE.{ELECTIONS}")
        quick = bucket_config("CHORIA_AJ_ELECTIONS", "", replicas=1, memory=False, ttl_ns=2 * SECOND_NS)
        await jetstream.call(f"STREAM.CREATE.{ELECTIONS}", quick)
        await admin.schedules.create("each-second", "@every 1s", "t", queue="Q")
        async with admin.watch() as events:

            async def two_tasks() -> set[str]:
                ids: set[str] = set()
                async with asyncio.timeout(60):
                    while len(ids) < 2:
                        event = await anext(events)
                        if isinstance(event, TaskStateEvent):
                            ids.add(event.task_id)
                return ids

            async with (
                program("ajobs.scheduler.main", "--name", "one", **stack.environment("scheduler")) as one,
                program("ajobs.scheduler.main", "--name", "two", **stack.environment("scheduler")) as two,
            ):
                await one.wait_log("scheduler ready")
                await two.wait_log("scheduler ready")
                created = await two_tasks()
                one.signal(15)
                assert await one.ended() == 0
                created |= await two_tasks()
            assert len(created) == 4
    assert stack.refused() == []


async def test_repair_works_with_the_permissions_of_a_scheduler(stack: Accounts):
    async with stack.connect("admin", queue="Q") as admin, stack.connect("scheduler", queue="Q") as scheduler:
        await admin.enqueue("t", queue="OTHER")
        await admin.purge_queue("OTHER")
        gone = await admin.enqueue("t")
        await admin.delete(gone.id)
        await admin.create_queue(Queue(name="SHORT"))
        await admin.enqueue("t", queue="SHORT")
        await admin.delete_queue("SHORT")
        repaired = await Janitor(scheduler, grace=0).sweep()
        assert repaired == {"task_without_item": 1, "item_without_task": 1, "task_without_queue": 1}
    assert stack.refused() == []


async def test_an_admin_has_all_permissions_for_queues_and_schedules(stack: Accounts):
    async with stack.connect("admin", queue="Q") as admin:
        await admin.create_queue(Queue(name="NEW", max_concurrent=5))
        await admin.storage.queues.configure("NEW", max_concurrent=6)
        task = await admin.enqueue("t", queue="NEW")
        assert [info.items for info in await admin.queues() if info.queue.name == "NEW"] == [1]
        assert [each.id async for each in admin.tasks()] == [task.id]
        await admin.purge_queue("NEW")
        await admin.delete(task.id)
        await admin.delete_queue("NEW")
        await admin.schedules.create("s", "@hourly", "t", queue="Q")
        await admin.schedules.pause("s")
        assert [each.name for each in await admin.schedules.all()] == ["s"]
        await admin.schedules.delete("s")
        assert await admin.workers() == []
    assert stack.refused() == []


async def test_an_admin_can_back_up_a_stream(stack: Accounts):
    async with stack.connect("admin", queue="Q") as admin:
        await admin.enqueue("t")
        connection, requests = admin.storage.connection, admin.storage.requests
        chunks: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        inbox = connection.nats.new_inbox()
        subscription = await connection.subscribe_directly(
            inbox, lambda _, reply_to, __, data: chunks.put_nowait((reply_to.decode(), data))
        )
        await admin.storage.jetstream.call(f"STREAM.SNAPSHOT.{TASKS}", {"deliver_subject": inbox})
        size = 0
        async with asyncio.timeout(30):
            while (chunk := await chunks.get())[1]:
                size += len(chunk[1])
                requests.send(chunk[0], b"")
        assert size
        await connection.synchronize()
        await connection.unsubscribe(subscription)
    assert stack.refused() == []


# ---- denied

TASKS, QUEUE, CONFIGURATION, ELECTIONS, WORKERS = (
    "CHORIA_AJ_TASKS", "CHORIA_AJ_Q_Q", "KV_CHORIA_AJ_CONFIGURATION", "KV_CHORIA_AJ_ELECTIONS", "KV_CHORIA_AJ_WORKERS",
)  # fmt: skip
MANAGEMENT = [
    f"$JS.API.STREAM.{verb}.{stream}"
    for verb in ("CREATE", "UPDATE", "DELETE", "PURGE", "SNAPSHOT", "RESTORE")
    for stream in (TASKS, QUEUE, CONFIGURATION, ELECTIONS, WORKERS)
] + [
    f"$JS.API.CONSUMER.CREATE.{QUEUE}.WORKERS",
    f"$JS.API.CONSUMER.CREATE.{QUEUE}",
    f"$JS.API.CONSUMER.DURABLE.CREATE.{QUEUE}.WORKERS",
    f"$JS.API.CONSUMER.DELETE.{QUEUE}.WORKERS",
    f"$JS.API.CONSUMER.PAUSE.{QUEUE}.WORKERS",
    "$JS.API.ACCOUNT.PURGE.ASYNCJOBS",
]
SCHEDULES = [
    "$KV.CHORIA_AJ_CONFIGURATION.scheduled_tasks.s",
    "$KV.CHORIA_AJ_CONFIGURATION.asyncjobs.schedule_options.s",
]
LEADERSHIP = [
    "$KV.CHORIA_AJ_ELECTIONS.task_scheduler",
    "$KV.CHORIA_AJ_CONFIGURATION.asyncjobs.scheduler_progress",
    "CHORIA_AJ.E.leader_election.task_scheduler",
]
READING_ALL = [
    f"$JS.API.CONSUMER.CREATE.{TASKS}",
    f"$JS.API.CONSUMER.CREATE.{TASKS}.mine",
    f"$JS.API.STREAM.MSG.GET.{QUEUE}",
    f"$JS.API.STREAM.MSG.GET.{CONFIGURATION}",
    f"$JS.API.DIRECT.GET.{CONFIGURATION}",
    "$JS.API.STREAM.LIST",
]
TAKING = [f"$JS.API.CONSUMER.MSG.NEXT.{QUEUE}.WORKERS", f"$JS.ACK.{QUEUE}.WORKERS.1.1.1.1.0"]
OF_WORKERS = ["$KV.CHORIA_AJ_WORKERS.another", "CHORIA_AJ.H.T.t"]
REMOVING = [f"$JS.API.STREAM.MSG.DELETE.{QUEUE}"]
FORBIDDEN = {
    "producer": [
        *MANAGEMENT, *SCHEDULES, *LEADERSHIP, *READING_ALL, *TAKING, *OF_WORKERS, *REMOVING,
        f"$JS.API.STREAM.MSG.DELETE.{TASKS}",
    ],
    "worker": [*MANAGEMENT, *SCHEDULES, *LEADERSHIP, *READING_ALL, *REMOVING],
    "scheduler": [*MANAGEMENT, *SCHEDULES, *TAKING, *OF_WORKERS],
    "admin": ["$SYS.REQ.SERVER.PING", "elsewhere"],
}  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
async def test_other_requests_and_messages_are_denied_with_an_error_that_names_the_subject(stack: Accounts, role: str):
    async with stack.connect(role, queue="Q") as client:
        for subject in FORBIDDEN[role]:
            with pytest.raises(PermissionDeniedError) as denied:
                await client.storage.requests.request(subject, b"{}", timeout_s=60)
            assert f"this NATS user may not publish to {subject}:" in str(denied.value)
            assert denied.value.reason == "permission_denied"
        await client.storage.jetstream.call(f"STREAM.INFO.{TASKS}")


@pytest.mark.parametrize("role", ROLES)
async def test_other_subscriptions_are_denied(stack: Accounts, role: str):
    others = [f"_INBOX.{other}.>" for other in ROLES if other != role]
    subjects = [">", "_INBOX.>", "$JS.>", "$SYS.>", "$JS.API.>", *others]
    if role != "admin":
        subjects += ["CHORIA_AJ.>", "CHORIA_AJ.T.*", "CHORIA_AJ.Q.>", "CHORIA_AJ.H.T.t", "$KV.CHORIA_AJ_WORKERS.>"]
    async with stack.connect(role, queue="Q") as client:
        connection = client.storage.connection
        for subject in subjects:
            subscription = await connection.subscribe_directly(subject, lambda *_: None)
            await connection.synchronize()
            with pytest.raises(PermissionDeniedError, match="may not subscribe to"):
                connection.denials.require_subscribed(subject)
            await connection.unsubscribe(subscription)


# ---- error texts


async def test_the_error_for_a_missing_queue_names_the_command_that_creates_it(stack: Accounts):
    with pytest.raises(PermissionDeniedError) as denied:
        async with stack.connect("producer", queue="MISSING"):
            pass
    assert str(denied.value) == (
        "this NATS user may not publish to $JS.API.STREAM.CREATE.CHORIA_AJ_Q_MISSING: add that to its permissions, or "
        "use another user, or have a user who may make it beforehand: python -m ajobs.admin.provision"
    )


async def test_the_error_for_a_wrong_inbox_names_its_setting(stack: Accounts):
    with pytest.raises(PermissionDeniedError, match=r"may not subscribe to _INBOX\.>.*NATS_INBOX_PREFIX"):
        async with stack.connect("producer", inbox_prefix="_INBOX"):
            pass


async def test_a_worker_without_permission_to_create_its_queue_ends_with_one_line(stack: Accounts):
    async with worker_process(HANDLERS, "--queue", "MISSING", **stack.environment("worker")) as worker:
        assert await worker.ended() == 1
    assert worker.log[-1].startswith("ajobs-worker: this NATS user may not publish to $JS.API.STREAM.CREATE.")


async def test_watching_events_without_permission_is_an_error(stack: Accounts):
    async with stack.connect("scheduler", queue="Q") as scheduler:
        with pytest.raises(PermissionDeniedError, match=r"may not subscribe to CHORIA_AJ\.E\.>"):
            async with scheduler.watch():
                pass


async def test_a_missing_permission_is_an_error_on_a_connection_that_was_passed_in(stack: Accounts):
    import nats

    errors: list[Exception] = []

    async def error_cb(error: Exception) -> None:
        errors.append(error)

    bare = await nats.connect(
        stack.server.url, nkeys_seed=str(stack.secrets / "nats_producer.nk"), inbox_prefix="_INBOX.producer",
        error_cb=error_cb,
    )  # fmt: skip
    async with Client.connect(connection=bare, queue="Q") as client:
        with pytest.raises(PermissionDeniedError):
            await client.delete_queue("Q")
    assert len(errors) == 1
    await bare.close()
