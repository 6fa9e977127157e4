"""Helpers of the scheduler's tests."""

from __future__ import annotations

import asyncio
import logging

from ajobs.client import Client, Queue
from ajobs.client.storage.provision import ensure_stream
from ajobs.protocol.buckets import bucket_config
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.subjects import ELECTIONS_BUCKET
from ajobs.protocol.timestamps import parse_timestamp
from ajobs.scheduler.scheduler import Scheduler
from ajobs.scheduler.timetable import Run

TTL_S = 2
LOGGER = logging.getLogger("test")
QUEUE = Queue(name="Q", max_entries=0)


async def quick_elections(client: Client) -> None:
    jetstream = client.storage.jetstream
    await jetstream.call(f"STREAM.DELETE.KV_{ELECTIONS_BUCKET}")
    config = bucket_config(ELECTIONS_BUCKET, "", replicas=1, memory=False, ttl_ns=TTL_S * SECOND_NS)
    await jetstream.call(f"STREAM.CREATE.KV_{ELECTIONS_BUCKET}", config)


async def quick_elections_again(client: Client) -> None:
    """Create the bucket again, unless the scheduler did."""
    jetstream = client.storage.jetstream
    config = bucket_config(ELECTIONS_BUCKET, "", replicas=1, memory=False, ttl_ns=TTL_S * SECOND_NS)
    await ensure_stream(jetstream, config)


async def leading(*schedulers: Scheduler) -> Scheduler:
    async with asyncio.timeout(60):
        while not any(scheduler.election.is_leading and scheduler.schedules.active for scheduler in schedulers):
            await asyncio.sleep(0.01)
    return next(scheduler for scheduler in schedulers if scheduler.election.is_leading)


async def tasks_of(client: Client) -> dict[str, object]:
    return {task.id: task async for task in client.tasks()}


async def wait_tasks(client: Client, count: int) -> list:
    async with asyncio.timeout(60):
        while len(found := await tasks_of(client)) < count:
            await asyncio.sleep(0.02)
    return list(found.values())


async def wait_more(client: Client, count: int) -> None:
    await wait_tasks(client, len(await tasks_of(client)) + count)


async def run_of(client: Client) -> Run:
    info = await client.schedules.create("s", "@every 1s", "t", queue="Q")
    tick_ns = parse_timestamp(info.schedule.created_at) + SECOND_NS
    return Run(tick_ns, tick_ns, info)
