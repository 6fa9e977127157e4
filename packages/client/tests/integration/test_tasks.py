"""Storing, enqueuing, loading, retrying, deleting, waiting for and listing tasks."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from ajobs.client import Client, Queue, TaskState
from ajobs.client.storage.tasks import NEVER_STORED
from ajobs.protocol.codec import decode_task, encode
from ajobs.protocol.decisions import expire, start
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import (
    ConfigurationError,
    CorruptTaskError,
    InvalidNameError,
    InvalidPayloadError,
    PayloadTooLargeError,
    QueueFullError,
    QueueNotFoundError,
    RequestTimeoutError,
    StorageNotReadyError,
    TaskAlreadyActiveError,
    TaskAlreadyExistsError,
    TaskCannotEnqueueError,
    TaskChangedError,
    TaskDiscardedError,
    TaskFailedError,
    TaskNotFoundError,
    TaskNotSignedError,
    TaskPastDeadlineError,
    TaskSignatureError,
)
from ajobs.protocol.events import TaskStateEvent
from ajobs.protocol.signing import Signer, Verifier, verify_task
from ajobs.protocol.subjects import TASKS_STREAM, item_subject, queue_stream, task_subject
from ajobs.protocol.task import Result, Task
from ajobs.protocol.timestamps import format_timestamp

SEED, OTHER_SEED = bytes(range(32)), bytes(32)


async def last_message(client, stream, subject):
    """Return what is stored, past all of the client's own code."""
    return await client.storage.connection.nats.jetstream().get_last_msg(stream, subject)


async def finish(client, task, state=TaskState.COMPLETE, **values):
    """Bring a task to an end as a worker would."""
    stored = await client.storage.tasks.load(task.id)
    started = await client.storage.tasks.save(start(stored.task, time.time_ns()), stored.revision)
    return await client.storage.tasks.save(
        msgspec.structs.replace(started.task, state=state, **values), started.revision
    )


def completed(value):
    return Result(payload=msgspec.Raw(msgspec.json.encode(value)), completed=format_timestamp(time.time_ns()))


# ---- enqueue


async def test_an_enqueued_task_is_stored_with_an_item_that_refers_to_it(client):
    task = await client.enqueue("email:new", {"to": "x"}, max_tries=3, deadline=timedelta(hours=1))
    stored = await last_message(client, TASKS_STREAM, task_subject(task.id))
    document = json.loads(stored.data)
    assert (document["id"], document["type"], document["queue"]) == (task.id, "email:new", "Q")
    assert (document["state"], document["tries"], document["max_tries"]) == ("new", 0, 3)
    assert "deadline" in document
    item = await last_message(client, queue_stream("Q"), item_subject("Q", task.id))
    assert json.loads(item.data) == {"kind": 0, "job": task.id}
    assert item.headers["Nats-Msg-Id"] == task.id
    assert (await client.load(task.id)) == task


async def test_a_task_with_dependencies_starts_blocked(client):
    parent = await client.enqueue("t")
    child = await client.enqueue("t", depends_on=[parent, "other"], load_dependencies=True)
    assert (child.state, child.dependencies) == (TaskState.BLOCKED, (parent.id, "other"))
    assert (await client.load(child.id)).load_dependencies


async def test_a_custom_encoder_encodes_the_payload(client):
    task = await client.enqueue("t", 7, encoder=lambda value: b"<%d>" % value)
    assert (await client.load(task.id)).payload == b"<7>"


async def test_another_task_with_a_used_id_is_refused_and_changes_nothing(client):
    task = await client.enqueue("t", 1, task_id="mine")
    with pytest.raises(TaskAlreadyExistsError, match="mine"):
        await client.enqueue("t", 2, task_id="mine")
    assert (await client.load("mine")) == task


async def test_a_task_in_a_state_that_cannot_be_enqueued_is_refused(client):
    done = msgspec.structs.replace(client.new_task("t"), state=TaskState.COMPLETE)
    with pytest.raises(TaskCannotEnqueueError, match="complete"):
        await client.enqueue(done)


async def test_an_unknown_queue_leaves_a_task_that_can_be_retried(client):
    with pytest.raises(QueueNotFoundError, match="NOWHERE"):
        await client.enqueue("t", 1, task_id="lost", queue="NOWHERE")
    task = await client.load("lost")
    assert (task.state, task.queue) == (TaskState.QUEUE_ERROR, "NOWHERE")
    assert "NOWHERE" in task.last_err
    await client.create_queue(Queue(name="NOWHERE"))
    assert (await client.retry("lost")).state is TaskState.RETRY
    assert (await client.queue_info("NOWHERE")).items == 1


async def test_a_full_queue_leaves_a_task_that_can_be_retried(server):
    async with Client.connect(server.url, queue=Queue(name="SMALL", max_entries=1)) as client:
        await client.enqueue("t", 1)
        with pytest.raises(QueueFullError, match="SMALL"):
            await client.enqueue("t", 2, task_id="second")
        assert (await client.load("second")).state is TaskState.QUEUE_ERROR
        await client.purge_queue("SMALL")
        await client.retry("second")


async def test_a_full_queue_that_discards_old_items_takes_the_new_one(server):
    async with Client.connect(server.url, queue=Queue(name="S", max_entries=1, discard_old=True)) as client:
        await client.enqueue("t", 1)
        await client.enqueue("t", 2)
        assert (await client.queue_info()).items == 1


async def test_a_payload_over_the_servers_limit_is_refused_and_the_connection_lives(client):
    limit = client.storage.connection.nats.max_payload
    for size in (limit, limit * 3 // 4, limit * 3 // 4 - 500):
        with pytest.raises(PayloadTooLargeError, match="store large data elsewhere"):
            await client.enqueue("t", b"x" * size, task_id="large")
    with pytest.raises(TaskNotFoundError):
        await client.load("large")
    assert await client.enqueue("t", b"x" * (limit * 3 // 4 - 2_000))
    assert client.storage.connection.is_connected


@pytest.mark.parametrize(
    ("task_type", "payload", "options", "error"),
    [
        ("a b", 1, {}, InvalidNameError),
        ("", 1, {}, InvalidNameError),
        ("t", 1, {"task_id": "a.b"}, InvalidNameError),
        ("t", 1, {"queue": "a>"}, InvalidNameError),
        ("t", 1, {"depends_on": ["*"]}, InvalidNameError),
        ("t", object(), {}, InvalidPayloadError),
        ("t", 1, {"max_tries": -1}, ConfigurationError),
    ],
)
async def test_a_wrong_argument_is_refused_before_anything_is_stored(client, task_type, payload, options, error):
    with pytest.raises(error):
        await client.enqueue(task_type, payload, **options)
    assert (await client.store_info()).tasks == 0


async def test_many_tasks_are_enqueued_and_failures_are_reported_by_task(client):
    await client.enqueue("t", 0, task_id="taken")
    tasks = [client.new_task("t", n, task_id="taken" if n == 7 else f"many-{n}") for n in range(300)]
    result = await client.enqueue_many(iter(tasks), window=50)
    assert [task.id for task in result.enqueued] == [task.id for task in tasks if task.id != "taken"]
    assert [(failure.index, failure.task.id) for failure in result.failed] == [(7, "taken")]
    assert isinstance(result.failed[0].error, TaskAlreadyExistsError)
    assert (await client.queue_info()).items == 300


# ---- load, delete, compare-and-set


async def test_a_task_that_is_not_stored_is_not_found(client):
    with pytest.raises(TaskNotFoundError, match="nothing"):
        await client.load("nothing")
    with pytest.raises(TaskNotFoundError):
        await client.delete("nothing")
    with pytest.raises(InvalidNameError):
        await client.load("a.*")


async def test_a_deleted_task_is_gone(client):
    task = await client.enqueue("t")
    await client.delete(task.id)
    with pytest.raises(TaskNotFoundError):
        await client.load(task.id)


@pytest.mark.parametrize("data", [b"", b"not json", b'{"id":"other","type":"t","state":"new","created":"x"}'])
async def test_a_corrupt_stored_task_is_named_and_left_unchanged(client, data):
    await client.storage.connection.nats.jetstream().publish(task_subject("bad"), data)
    with pytest.raises(CorruptTaskError, match="bad"):
        await client.load("bad")
    assert ((await last_message(client, TASKS_STREAM, task_subject("bad"))).data or b"") == data


async def test_a_lost_compare_and_set_is_an_error_and_overwrites_nothing(client):
    task = await client.enqueue("t")
    stored = await client.storage.tasks.load(task.id)
    won = await client.storage.tasks.save(start(task, time.time_ns()), stored.revision)
    with pytest.raises(TaskChangedError):
        await client.storage.tasks.save(expire(task), stored.revision)
    with pytest.raises(TaskChangedError):
        await client.storage.tasks.delete(task.id, stored.revision)
    with pytest.raises(TaskAlreadyExistsError):
        await client.storage.tasks.save(task, NEVER_STORED)
    assert await client.storage.tasks.load(task.id) == won


async def test_of_many_writers_at_once_one_wins(client):
    task = await client.enqueue("t")
    stored = await client.storage.tasks.load(task.id)
    saves = (
        client.storage.tasks.save(msgspec.structs.replace(task, last_err=f"{n}"), stored.revision) for n in range(20)
    )
    results = await asyncio.gather(*saves, return_exceptions=True)
    assert sum(isinstance(result, TaskChangedError) for result in results) == 19


async def test_several_tasks_are_loaded_at_once_and_a_missing_one_is_none(client):
    task = await client.enqueue("t")
    assert await client.storage.tasks.load_many([task.id, "missing"]) == {task.id: task, "missing": None}


async def test_direct_gets_are_enabled_in_a_store_that_another_client_created(server):
    async with Client.connect(server.url, no_storage_init=True) as early:
        js = early.storage.connection.nats.jetstream()
        await js.add_stream(name=TASKS_STREAM, subjects=["CHORIA_AJ.T.*"], max_msgs_per_subject=1, max_age=3600)
        async with Client.connect(server.url) as client:
            config = (await js.stream_info(TASKS_STREAM)).config
            assert (config.allow_direct, config.max_age) == (True, 3600)
            task = await client.enqueue("t")
            # One that was told to make nothing, and found no store, reads the slower way.
            assert await early.load(task.id) == task
            with pytest.raises(TaskNotFoundError):
                await early.load("missing")


async def test_the_error_names_a_missing_task_store(server):
    async with Client.connect(server.url, no_storage_init=True) as client:
        for call in (client.load("a"), client.enqueue("t"), client.store_info(), anext(client.tasks())):
            with pytest.raises(StorageNotReadyError):
                await call


# ---- retry


async def test_a_retry_replaces_the_item_and_resets_the_tries(client):
    task = await client.enqueue("t", 1)
    await finish(client, task, TaskState.EXPIRED, last_err="boom")
    retried = await client.retry(task.id)
    assert (retried.state, retried.tries, retried.last_err) == (TaskState.RETRY, 0, "")
    assert (await client.queue_info()).items == 1
    item = await last_message(client, queue_stream("Q"), item_subject("Q", task.id))
    assert not (item.headers or {}).get("Nats-Msg-Id")


async def test_a_retry_of_an_active_task_has_to_be_forced(client):
    task = await client.enqueue("t")
    await finish(client, task, TaskState.ACTIVE)
    with pytest.raises(TaskAlreadyActiveError):
        await client.retry(task.id)
    assert (await client.retry(task.id, force=True)).state is TaskState.RETRY


async def test_a_retry_past_the_deadline_is_refused(client):
    task = await client.enqueue("t", deadline=datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(TaskPastDeadlineError):
        await client.retry(task.id)


async def test_a_retry_in_another_queue_moves_the_item(client):
    await client.create_queue(Queue(name="OTHER"))
    task = await client.enqueue("t")
    assert (await client.retry(task.id, queue="OTHER")).queue == "OTHER"
    assert (await client.queue_info("Q")).items == 0
    assert (await client.queue_info("OTHER")).items == 1


# ---- signatures


async def test_a_task_is_signed_and_verified_and_signed_again_when_it_moves(server):
    async with Client.connect(server.url, queue="Q", signing_key=SEED) as client:
        task = await client.enqueue("t", 1)
        verify_task(task, Signer(SEED).verifier, optional=False)
        await client.create_queue(Queue(name="OTHER"))
        verify_task(await client.retry(task.id, queue="OTHER"), Signer(SEED).verifier, optional=False)
        await client.load(task.id)


async def test_wrong_and_missing_signatures_are_refused_when_loaded(server):
    signer = Signer(SEED)
    async with Client.connect(server.url, queue="Q", signing_key=SEED) as client, Client.connect(
        server.url, queue="Q", signing_key=OTHER_SEED
    ) as stranger, Client.connect(server.url, queue="Q") as unsigned, Client.connect(
        server.url, queue="Q", verification_key=signer.public_key_hex, signatures_optional=True
    ) as lenient:  # fmt: skip
        task = await client.enqueue("t")
        with pytest.raises(TaskSignatureError):
            await stranger.load(task.id)
        with pytest.raises(TaskSignatureError):
            await stranger.retry(task.id)
        plain = await unsigned.enqueue("t")
        with pytest.raises(TaskNotSignedError):
            await client.load(plain.id)
        assert await lenient.load(plain.id) == plain
        assert await lenient.load(task.id) == task
        with pytest.raises(ConfigurationError, match="signing key"):
            await unsigned.retry(task.id, queue="OTHER")


def test_a_wrong_length_of_key_is_refused():
    with pytest.raises(ValueError, match="32"):
        Verifier(b"123")


# ---- wait, result, events


async def test_a_result_is_waited_for_and_decoded(client):
    task = await client.enqueue("t")
    waiting = asyncio.create_task(client.result(task.id, dict[str, int], timeout=30))
    await finish(client, task, result=completed({"n": 1}))
    assert await waiting == {"n": 1}
    assert await client.result(task.id) == {"n": 1}


async def test_a_task_that_does_not_complete_is_an_error_with_its_state_and_last_error(client):
    task = await client.enqueue("t")
    await finish(client, task, TaskState.TERMINATED, last_err="never")
    with pytest.raises(TaskFailedError, match="never") as caught:
        await client.result(task.id, timeout=5)
    assert (caught.value.task_id, caught.value.state, caught.value.last_err) == (task.id, "terminated", "never")
    assert (await client.wait(task.id)).state is TaskState.TERMINATED


async def test_waiting_ends_in_time(client):
    task = await client.enqueue("t")
    with pytest.raises(RequestTimeoutError, match=task.id):
        await client.wait(task.id, timeout=0.05)
    with pytest.raises(TaskNotFoundError):
        await client.wait("missing", timeout=5)


async def test_waiting_succeeds_although_the_event_is_lost(client, monkeypatch):
    monkeypatch.setattr("ajobs.client.tasks.wait.LOOK_AGAIN_S", 0.05)
    task = await client.enqueue("t")
    waiting = asyncio.create_task(client.wait(task.id, timeout=30))
    stored = await client.storage.tasks.load(task.id)
    silent = msgspec.structs.replace(stored.task, state=TaskState.EXPIRED)
    await client.storage.tasks.save(silent, stored.revision, announce=False)
    assert (await waiting).state is TaskState.EXPIRED


async def test_waiting_for_a_discarded_task_raises_an_error(client, monkeypatch):
    task = await client.enqueue("t")
    loaded = asyncio.Event()
    load = client.storage.tasks.load

    async def noticed(task_id):
        stored = await load(task_id)
        loaded.set()
        return stored

    monkeypatch.setattr(client.storage.tasks, "load", noticed)
    waiting = asyncio.create_task(client.wait(task.id, timeout=30))
    await loaded.wait()
    await client.delete(task.id)
    client.storage.events.announce(msgspec.structs.replace(task, state=TaskState.COMPLETE))
    with pytest.raises(TaskDiscardedError, match="complete"):
        await waiting


async def test_events_are_watched_as_they_occur(client):
    async with client.watch() as events:
        task = await client.enqueue("t", 1)
        await client.storage.connection.nats.publish("CHORIA_AJ.E.task_state.x", b"nonsense")
        await finish(client, task, TaskState.EXPIRED, last_err="late")
        seen = [await anext(events) for _ in range(3)]
    assert events.unreadable == 1
    assert [event.state for event in seen if isinstance(event, TaskStateEvent)] == ["new", "active", "expired"]
    last = seen[-1]
    assert isinstance(last, TaskStateEvent)
    assert (last.task_id, last.tries, last.queue, last.last_error) == (task.id, 1, "Q", "late")
    assert last.task_age > 0


# ---- list


async def test_all_tasks_are_listed_and_filtered(client):
    since = datetime.now(UTC)
    await client.enqueue_many(client.new_task("even" if n % 2 == 0 else "odd", n) for n in range(1_500))
    await client.create_queue(Queue(name="OTHER"))
    other = await client.enqueue("odd", queue="OTHER")
    done = await client.enqueue("done")
    await finish(client, done)
    assert len({task.id async for task in client.tasks()}) == 1_502
    assert sum([1 async for _ in client.tasks(task_type="even")]) == 750
    assert [task.id async for task in client.tasks(queue="OTHER")] == [other.id]
    assert [task.id async for task in client.tasks(states=[TaskState.COMPLETE])] == [done.id]
    assert sum([1 async for _ in client.tasks(created_since=since)]) == 1_502
    assert [task async for task in client.tasks(created_since=datetime.now(UTC))] == []


async def test_a_task_of_a_producer_whose_clock_is_ahead_is_listed(client):
    ahead = msgspec.structs.replace(client.new_task("t"), created=format_timestamp(time.time_ns() + 3600 * SECOND_NS))
    await client.enqueue(ahead)
    assert [task.id async for task in client.tasks()] == [ahead.id]
    assert [task.id for task in (await client.task_page()).tasks] == [ahead.id]


async def test_an_empty_store_lists_nothing(client):
    assert [task async for task in client.tasks()] == []


async def test_a_listing_skips_corrupt_tasks_and_logs_them(client, caplog):
    await client.storage.connection.nats.jetstream().publish(task_subject("bad"), b"nonsense")
    task = await client.enqueue("t")
    assert [found.id async for found in client.tasks()] == [task.id]
    assert "CHORIA_AJ.T.bad" in caplog.text


async def test_a_listing_continues_after_a_restart_of_the_server(server, client, monkeypatch):
    monkeypatch.setattr("ajobs.client.storage.jetstream.scan.PAGE", 10)
    monkeypatch.setattr("ajobs.client.storage.jetstream.scan.SILENCE_S", 0.2)
    await client.enqueue_many(client.new_task("t", n) for n in range(100))
    seen: set[str] = set()
    async for task in client.tasks():
        if len(seen) == 5:
            await server.restart()
        seen.add(task.id)
    assert len(seen) == 100


async def test_a_listing_ends_although_the_rest_is_deleted_meanwhile(client, monkeypatch):
    monkeypatch.setattr("ajobs.client.storage.jetstream.scan.PAGE", 4)
    monkeypatch.setattr("ajobs.client.storage.jetstream.scan.SILENCE_S", 0.2)
    await client.enqueue_many(client.new_task("t", n) for n in range(50))
    seen = 0
    async for _ in client.tasks():
        seen += 1
        if seen == 1:
            await client.storage.connection.nats.jetstream().purge_stream(TASKS_STREAM)
    assert seen < 50


async def test_store_info_reports_the_counts_of_the_task_store(server):
    async with Client.connect(server.url, memory_storage=True, task_retention="1h") as client:
        await client.enqueue("t")
        info = await client.store_info()
        assert (info.tasks, info.memory, info.replicas, info.retention) == (1, True, 1, timedelta(hours=1))


def test_stored_documents_follow_the_wire_contract():
    task = Task(id="a", type="t", queue="Q", state=TaskState.NEW, created=format_timestamp(0))
    assert decode_task(encode(task)) == task


async def test_an_iterator_that_fails_half_way_leaves_whole_tasks_and_raises_its_own_error(client):
    def tasks():
        for number in range(30):
            yield client.new_task("t", number)
        raise KeyError("no more")

    with pytest.raises(KeyError) as caught:
        await client.enqueue_many(tasks(), window=10)
    assert "30 tasks" in caught.value.__notes__[0]
    assert (await client.store_info()).tasks == (await client.queue_info()).items == 30


async def test_an_unknown_option_and_one_that_is_given_too_late_are_refused(client):
    with pytest.raises(ConfigurationError, match="unknown task option load_results: use some of deadline"):
        await client.enqueue("t", 1, load_results=True)
    task = client.new_task("t", 1)
    for late in ({"deadline": timedelta(hours=1)}, {"payload": 2}):
        with pytest.raises(ConfigurationError, match="new_task"):
            await client.enqueue(task, **late)
    assert [task async for task in client.tasks()] == []


async def test_a_new_task_may_go_to_another_queue(client):
    await client.create_queue(Queue(name="OTHER"))
    task = await client.enqueue(client.new_task("t", 1), queue="OTHER")
    assert task.queue == "OTHER"
    assert (await client.queue_info("OTHER")).items == 1
