"""Idempotency keys, and queues that must exist, as the client offers them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from ajobs.client import BlockingClient, Client
from ajobs.protocol.errors import (
    IdempotencyKeyReusedError,
    InvalidIdempotencyKeyError,
    QueueNotFoundError,
    TaskNotFoundError,
)
from ajobs.protocol.states import TaskState


@pytest.fixture
async def client(server):
    async with Client.connect(server.url, queue="Q") as connected:
        yield connected


async def test_a_key_stands_for_one_task(client):
    calls = (client.enqueue_once("k", "t", {"n": 1}, deadline=timedelta(hours=1)) for _ in range(5))
    found = await asyncio.gather(*calls)
    assert len({each.task.id for each in found}) == 1
    assert sum(not each.repeated for each in found) == 1
    assert (await client.queue_info()).items == 1
    assert (await client.load(found[0].task.id)).deadline is not None


@pytest.mark.parametrize(
    ("task_type", "payload", "options"),
    [
        ("other", 1, {}),
        ("t", 2, {}),
        ("t", 1, {"max_tries": 3}),
        ("t", 1, {"deadline": timedelta(hours=1)}),
        ("t", 1, {"task_id": "own"}),
    ],
)
async def test_a_key_is_refused_for_another_request(client, task_type, payload, options):
    await client.enqueue_once("k", "t", 1)
    with pytest.raises(IdempotencyKeyReusedError):
        await client.enqueue_once("k", task_type, payload, **options)
    assert not (await client.enqueue_once("k", task_type, payload, owner="another", **options)).repeated


@pytest.mark.parametrize("key", ["", "k" * 129, "a b", "k\n", "\u00e9"])
async def test_a_key_has_1_to_128_printable_characters(client, key):
    with pytest.raises(InvalidIdempotencyKeyError, match="use 1 to 128 printable ASCII characters"):
        await client.enqueue_once(key, "t")


async def test_a_blocking_client_accepts_keys(server):
    def enqueue():
        with BlockingClient(server.url, queue="Q") as blocking:
            return [blocking.enqueue_once("k", "t", 1) for _ in range(2)]

    first, second = await asyncio.to_thread(enqueue)
    assert (first.task.id, first.repeated, second.repeated) == (second.task.id, False, True)


async def test_nothing_is_stored_when_a_required_queue_does_not_exist(client):
    with pytest.raises(QueueNotFoundError):
        await client.enqueue("t", task_id="one", queue="GONE", require_queue=True)
    tasks = [client.new_task("t", queue="GONE"), client.new_task("t"), client.new_task("t", queue="GONE")]
    result = await client.enqueue_many(tasks, require_queue=True)
    assert [failure.index for failure in result.failed] == [0, 2]
    assert {type(failure.error) for failure in result.failed} == {QueueNotFoundError}
    assert [task.id async for task in client.tasks()] == [tasks[1].id]


async def test_nothing_is_left_when_a_required_queue_is_deleted_during_the_call(client, monkeypatch):
    async def join(name):
        await client.storage.queues.delete(name)

    monkeypatch.setattr(client.storage.queues, "join", join)
    with pytest.raises(QueueNotFoundError):
        await client.enqueue("t", task_id="one", require_queue=True)
    with pytest.raises(TaskNotFoundError):
        await client.load("one")


async def test_a_task_stays_in_its_queue_when_it_cannot_be_moved(client):
    task = await client.enqueue("t")
    with pytest.raises(QueueNotFoundError):
        await client.retry(task.id, queue="GONE")
    found = await client.load(task.id)
    assert (found.state, found.queue) == (TaskState.NEW, "Q")
