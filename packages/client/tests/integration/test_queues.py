"""Making, joining, looking at, changing, emptying and deleting queues."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from ajobs.client import Client, Queue, TaskState
from ajobs.protocol.errors import (
    ConfigurationError,
    InvalidArgumentError,
    InvalidNameError,
    QueueAlreadyExistsError,
    QueueConsumerNotFoundError,
    QueueNotFoundError,
    StorageError,
)
from ajobs.protocol.subjects import queue_stream
from ajobs.testing.workers import working
from ajobs.worker import Router

FULL = Queue(
    name="FULL", max_age="1h", max_entries=10, discard_old=True, max_tries=7, max_run_time=5,
    max_concurrent=3,
)  # fmt: skip


async def test_a_queue_is_created_as_go_creates_it(client):
    assert await client.create_queue(FULL) == FULL
    js = client.storage.connection.nats.jetstream()
    stream = (await js.stream_info(queue_stream("FULL"))).config
    assert (stream.retention, stream.max_msgs_per_subject, stream.subjects) == ("workqueue", 1, ["CHORIA_AJ.Q.FULL.>"])
    assert (stream.max_age, stream.max_msgs, stream.discard) == (3600, 10, "old")
    assert stream.description == "Choria Async Jobs Work Queue"
    consumer = (await js.consumer_info(queue_stream("FULL"), "WORKERS")).config
    assert (consumer.ack_wait, consumer.max_ack_pending, consumer.max_deliver) == (5, 3, 7)
    assert consumer.ack_policy == "explicit"


async def test_a_queue_that_exists_is_joined_and_never_changed(server, client):
    await client.create_queue(FULL)
    async with Client.connect(server.url, queue=Queue(name="FULL", max_tries=1, max_entries=1)) as other:
        assert other.queue == FULL
    assert await client.join_queue("FULL") == FULL
    with pytest.raises(QueueAlreadyExistsError):
        await client.create_queue(Queue(name="FULL"))


async def test_a_queue_that_must_exist_is_not_created(server):
    with pytest.raises(QueueNotFoundError, match="MISSING"):
        async with Client.connect(server.url, queue="MISSING", bind=True):
            pass
    async with Client.connect(server.url, queue="MISSING"), Client.connect(server.url, queue="MISSING", bind=True) as c:
        assert c.queue.name == "MISSING"


async def test_a_queue_without_its_consumer_is_detected_and_repaired_by_creating_it(server, client):
    await client.storage.connection.nats.jetstream().delete_consumer(queue_stream("Q"), "WORKERS")
    with pytest.raises(QueueConsumerNotFoundError):
        await client.join_queue("Q")
    async with Client.connect(server.url, queue="Q"):
        assert (await client.join_queue("Q")).name == "Q"


async def test_many_clients_create_the_same_queue_concurrently(server):
    async def connect(number):
        async with Client.connect(server.url, queue=Queue(name="RACE", max_tries=number)) as racer:
            return racer.queue

    queues = await asyncio.gather(*(connect(number) for number in range(1, 11)))
    assert len({queue.max_tries for queue in queues}) == 1


async def test_only_the_given_settings_change(client):
    await client.create_queue(FULL)
    changed = await client.configure_queue("FULL", max_concurrent=8, max_age="1m")
    assert changed == await client.join_queue("FULL")
    assert (changed.max_concurrent, changed.max_age, changed.max_tries) == (8, timedelta(minutes=1), 7)
    assert await client.configure_queue("FULL") == changed
    with pytest.raises(ConfigurationError):
        await client.configure_queue("FULL", max_tries=-5)
    with pytest.raises(StorageError):
        await client.configure_queue("FULL", replicas=3)
    with pytest.raises(QueueNotFoundError):
        await client.configure_queue("MISSING", max_tries=1)


async def test_queue_info_reports_the_counts_of_a_queue(client):
    for number in range(3):
        await client.enqueue("t", number)
    info = await client.queue_info()
    assert (info.items, info.waiting, info.in_progress, info.replicas) == (3, 3, 0, 1)
    assert (await client.storage.queues.described("Q"))[0]["config"]["name"] == queue_stream("Q")
    assert await client.purge_queue("Q") == 3
    assert (await client.queue_info("Q")).items == 0
    assert (await client.store_info()).tasks == 3


async def test_all_queues_are_listed_and_a_deleted_one_is_gone(client):
    await client.create_queue(FULL)
    assert [info.queue.name for info in await client.queues()] == ["FULL", "Q"]
    await client.delete_queue("FULL")
    assert [info.queue.name for info in await client.queues()] == ["Q"]
    for call in (client.delete_queue, client.purge_queue, client.queue_info, client.join_queue):
        with pytest.raises(QueueNotFoundError):
            await call("FULL")
        with pytest.raises(InvalidNameError):
            await call("a.b")


async def test_buckets_are_created_as_go_creates_them(client):
    js = client.storage.connection.nats.jetstream()
    configuration = (await js.stream_info("KV_CHORIA_AJ_CONFIGURATION")).config
    assert (configuration.max_msgs_per_subject, configuration.description) == (1, "Choria Async Jobs Configuration")
    assert (await js.stream_info("KV_CHORIA_AJ_ELECTIONS")).config.max_age == 10
    bucket = await js.key_value("CHORIA_AJ_ELECTIONS")
    revision = await bucket.create("task_scheduler", b"me")
    assert await bucket.update("task_scheduler", b"me", revision) > revision


async def test_a_paused_queue_delivers_nothing_until_it_is_resumed(server, client):
    router = Router()
    router.add("t", lambda: None)
    await client.pause_queue("Q")
    assert (await client.queue_info()).paused_until is not None
    async with working(client, router):
        task = await client.enqueue("t")
        # An item of another queue, enqueued later and done, shows that the paused one was passed by.
        async with Client.connect(server.url, queue="OTHER") as other, working(other, router):
            await other.result((await other.enqueue("t")).id, timeout=30)
        assert (await client.load(task.id)).state is TaskState.NEW
        await client.configure_queue("Q", max_concurrent=5)
        assert (await client.queue_info()).paused_until is not None
        await client.resume_queue("Q")
        assert (await client.wait(task.id, timeout=30)).state is TaskState.COMPLETE
    assert (await client.queue_info()).paused_until is None


async def test_a_pause_ends_by_itself(client):
    router = Router()
    router.add("t", lambda: None)
    await client.pause_queue("Q", duration=0.3)
    async with working(client, router):
        assert (await client.wait((await client.enqueue("t")).id, timeout=30)).state is TaskState.COMPLETE


@pytest.mark.parametrize(
    ("duration", "problem"),
    [
        (0, "invalid duration 0: must be greater than 0"),
        (-1, "invalid duration -1: must be greater than 0"),
        (float("inf"), "not a finite number"),
        (float("nan"), "not a finite number"),
        ("900000h", "invalid duration 900000h0m0s: the maximum is 876000h0m0s"),
    ],
)
async def test_a_pause_without_a_positive_finite_duration_is_refused(client, duration, problem):
    with pytest.raises(InvalidArgumentError, match=problem):
        await client.pause_queue("Q", duration=duration)


async def test_a_missing_queue_cannot_be_paused(client):
    with pytest.raises(QueueNotFoundError):
        await client.pause_queue("MISSING")
    with pytest.raises(QueueNotFoundError):
        await client.resume_queue("MISSING")
