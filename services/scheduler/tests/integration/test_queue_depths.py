"""How full queues are, as metrics of the leading scheduler."""

from __future__ import annotations

import asyncio
import logging

from prometheus_client import REGISTRY

from ajobs.client import Client, Queue
from ajobs.scheduler.duties.queue_depths import Depths
from ajobs.testing.workers import wait_items, working
from ajobs.worker import Context, Router

LOGGER = logging.getLogger("test")


def told(name: str, queue: str) -> float | None:
    return REGISTRY.get_sample_value(f"choria_asyncjobs_{name}", {"queue": queue})


async def test_items_are_counted_by_what_they_wait_for(client: Client):
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
        await Depths(client, LOGGER).look()
        assert [told(f"queue_{kind}items", "Q") for kind in ("", "waiting_", "in_progress_")] == [1, 0, 1]
        assert [told(f"queue_{kind}items", "OTHER") for kind in ("", "waiting_", "in_progress_")] == [1, 1, 0]
        go_on.set()
        await wait_items(client, "Q", 0)


async def test_a_queue_that_is_gone_and_one_who_does_not_lead_tell_nothing(client: Client):
    depths = Depths(client, LOGGER)
    await client.create_queue(Queue(name="OTHER"))
    await depths.look()
    assert told("queue_items", "OTHER") == 0
    await client.delete_queue("OTHER")
    await depths.look()
    assert told("queue_items", "OTHER") is None
    assert told("queue_items", "Q") == 0
    await depths.look(allowed=lambda: False)
    assert told("queue_items", "Q") is None


async def test_it_is_told_while_it_may_be_and_no_longer_after_the_end(client: Client):
    leads = False
    running = asyncio.create_task(Depths(client, LOGGER).run(lambda: leads, interval_s=0.01))
    leads = True
    async with asyncio.timeout(30):
        while told("queue_items", "Q") is None:
            await asyncio.sleep(0.01)
        leads = False
        while told("queue_items", "Q") is not None:
            await asyncio.sleep(0.01)
    leads = True
    async with asyncio.timeout(30):
        while told("queue_items", "Q") is None:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert told("queue_items", "Q") is None
