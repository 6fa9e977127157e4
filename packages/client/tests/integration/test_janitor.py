"""Tasks and items that nothing moves any more, on a real server."""

from __future__ import annotations

import asyncio

import pytest

from ajobs.client import Client, Queue, TaskState
from ajobs.client.maintenance.janitor import Janitor
from ajobs.protocol.decisions import start
from ajobs.protocol.subjects import item_subject, queue_stream
from ajobs.protocol.timestamps import parse_timestamp
from ajobs.testing.processes import worker_process
from ajobs.testing.workers import wait_state, working
from ajobs.worker import Router

HANDLERS = "ajobs.testing.handlers:router"


@pytest.fixture
async def client(server):
    queue = Queue(name="Q", max_run_time=0.5, max_tries=1)
    async with Client.connect(server.url, queue=queue) as connected:
        yield connected


async def remove_item(client: Client, task_id: str) -> None:
    body = {"filter": item_subject("Q", task_id)}
    await client.storage.jetstream.call(f"STREAM.PURGE.{queue_stream('Q')}", body)


async def test_a_task_without_its_item_becomes_a_queue_error_that_can_be_retried(client):
    task = await client.enqueue("t", 1)
    await remove_item(client, task.id)
    other = await client.enqueue("t", 2)
    assert await Janitor(client).sweep() == {}
    async with client.watch(task.id) as events:
        assert await Janitor(client, grace=0).sweep() == {"task_without_item": 1}
        assert (await anext(events)).state is TaskState.QUEUE_ERROR
    found = await client.load(task.id)
    assert "gone from queue Q" in found.last_err
    assert (await client.load(other.id)).state is TaskState.NEW
    await client.retry(task.id)
    assert await Janitor(client, grace=0).sweep() == {}


async def test_the_error_of_a_task_names_its_missing_queue(client):
    await client.create_queue(Queue(name="OTHER"))
    task = await client.enqueue("t", 1, queue="OTHER")
    await client.delete_queue("OTHER")
    assert await Janitor(client, grace=0).sweep() == {"task_without_queue": 1}
    assert "OTHER does not exist" in (await client.load(task.id)).last_err


async def test_an_item_whose_task_is_gone_is_removed(client):
    gone, stays = await client.enqueue("t", 1), await client.enqueue("t", 2)
    await client.delete(gone.id)
    assert await Janitor(client).sweep() == {"item_without_task": 1}
    assert (await client.queue_info()).items == 1
    assert (await client.load(stays.id)).state is TaskState.NEW


async def test_an_item_that_reached_its_delivery_limit_ends_its_task(server, client):
    """Its only worker is killed; the queue allows one delivery."""
    async with worker_process(HANDLERS, "--queue", "Q", "--server", server.url) as worker:
        task = await client.enqueue("slow", 600)
        await wait_state(client, task.id, TaskState.ACTIVE)
        await worker.kill()
    janitor = Janitor(client, grace=0)
    sweeping = asyncio.create_task(janitor.run(interval=0.05))
    # The server notices the expired lease of an item only when a client pulls items.
    async with worker_process(HANDLERS, "--queue", "Q", "--server", server.url):
        ended = await client.wait(task.id, timeout=60)
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)
    assert ended.state is TaskState.EXPIRED
    assert "delivered 1 times" in ended.last_err
    async with asyncio.timeout(30):
        while (await client.queue_info()).items:
            await janitor.sweep()


async def test_a_task_that_a_living_worker_has_is_left_alone(server, client):
    async with worker_process(HANDLERS, "--queue", "Q", "--server", server.url) as worker:
        await worker.wait_log("worker ready")
        task = await client.enqueue("extending")
        await wait_state(client, task.id, TaskState.ACTIVE)
        async with asyncio.timeout(30):
            while not any(worker.running for worker in await client.workers()):
                await asyncio.sleep(0.05)
        await remove_item(client, task.id)
        await asyncio.to_thread(_wait_out, 0.6)
        assert await Janitor(client, grace=0).sweep() == {}
        assert (await client.load(task.id)).state is TaskState.ACTIVE


def _wait_out(seconds: float) -> None:
    """Let a lease run out, which the server does not announce."""
    import time

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)


async def test_a_task_that_changes_concurrently_is_left_alone(client, monkeypatch):
    task = await client.enqueue("t", 1)
    await remove_item(client, task.id)
    save = client.storage.tasks.save

    async def start_first(ended, revision):
        stored = await client.storage.tasks.load(task.id)
        await save(start(stored.task, parse_timestamp(stored.task.created)), stored.revision)
        return await save(ended, revision)

    monkeypatch.setattr(type(client.storage.tasks), "save", lambda _, ended, revision: start_first(ended, revision))
    assert await Janitor(client, grace=0).sweep() == {}
    assert (await client.load(task.id)).state is TaskState.ACTIVE


async def test_an_item_that_could_not_be_read_leaves_a_truthful_task(client):
    task = await client.enqueue("t", 1)
    await client.storage.requests.request(item_subject("Q", task.id), b"{")
    router = Router()
    router.add("t", lambda: "ran")
    async with working(client, router):
        async with asyncio.timeout(30):
            while (await client.queue_info()).items:
                await asyncio.sleep(0.01)
    assert await Janitor(client, grace=0).sweep() == {"task_without_item": 1}
    assert (await client.load(task.id)).state is TaskState.QUEUE_ERROR


async def test_a_dry_run_reports_the_effect_of_a_sweep_and_changes_nothing(client):
    await client.create_queue(Queue(name="OTHER"))
    without_item, deleted, stays = [await client.enqueue("t", n) for n in range(3)]
    without_queue = await client.enqueue("t", queue="OTHER")
    await remove_item(client, without_item.id)
    await client.delete(deleted.id)
    await client.delete_queue("OTHER")
    found = {(stuck.kind, stuck.task_id, stuck.queue) for stuck in await Janitor(client, grace=0).look()}
    assert found == {
        ("task_without_item", without_item.id, "Q"),
        ("item_without_task", deleted.id, "Q"),
        ("task_without_queue", without_queue.id, "OTHER"),
    }
    assert {(await client.load(t.id)).state for t in (without_item, without_queue, stays)} == {TaskState.NEW}
    assert (await client.queue_info()).items == 2
    assert await Janitor(client, grace=0).sweep() == {
        "task_without_item": 1, "item_without_task": 1, "task_without_queue": 1,
    }  # fmt: skip


async def test_thousands_of_tasks_are_swept(client):
    await client.configure_queue("Q", max_tries=0)
    many = await client.enqueue_many(client.new_task("t", n) for n in range(2_500))
    for task in many.enqueued[::500]:
        await remove_item(client, task.id)
    assert await Janitor(client, grace=0).sweep() == {"task_without_item": 5}
