"""The duty to report how many items each queue has."""

from __future__ import annotations

import asyncio
import logging

from prometheus_client import REGISTRY

from ajobs.client import Client, Queue
from ajobs.scheduler.duties.queue_depths import QueueDepths
from ajobs.testing.workers import wait_items, working
from ajobs.worker import Context, Router

LOGGER = logging.getLogger("test")


def reported(name: str, queue: str) -> float | None:
    return REGISTRY.get_sample_value(f"choria_asyncjobs_{name}", {"queue": queue})


async def test_items_are_counted_as_waiting_or_in_progress(client: Client):
    started, go_on = asyncio.Event(), asyncio.Event()
    router = Router()

    @router.handler("t")
    async def handle(_: Context) -> None:
        started.set()
        await go_on.wait()

    await client.create_queue(Queue(name="OTHER"))
    await client.enqueue("t")
    async with working(client, router):
        await started.wait()
        await client.enqueue("t", queue="OTHER")
        await QueueDepths(client, LOGGER).read()
        assert [reported(f"queue_{kind}items", "Q") for kind in ("", "waiting_", "in_progress_")] == [1, 0, 1]
        assert [reported(f"queue_{kind}items", "OTHER") for kind in ("", "waiting_", "in_progress_")] == [1, 1, 0]
        go_on.set()
        await wait_items(client, "Q", 0)


async def test_a_deleted_queue_and_a_standby_report_no_value(client: Client):
    depths = QueueDepths(client, LOGGER)
    await client.create_queue(Queue(name="OTHER"))
    await depths.read()
    assert reported("queue_items", "OTHER") == 0
    await client.delete_queue("OTHER")
    await depths.read()
    assert reported("queue_items", "OTHER") is None
    assert reported("queue_items", "Q") == 0
    await depths.read(lambda: False)
    assert reported("queue_items", "Q") is None


async def test_values_are_reported_only_while_leading_and_removed_at_the_end(client: Client):
    leads = False
    running = asyncio.create_task(QueueDepths(client, LOGGER).run(lambda: leads, interval_s=0.01))
    leads = True
    async with asyncio.timeout(30):
        while reported("queue_items", "Q") is None:
            await asyncio.sleep(0.01)
        leads = False
        while reported("queue_items", "Q") is not None:
            await asyncio.sleep(0.01)
    leads = True
    async with asyncio.timeout(30):
        while reported("queue_items", "Q") is None:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert reported("queue_items", "Q") is None
