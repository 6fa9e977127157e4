"""Schedulers next to one of Choria Async Jobs, which stores no progress."""

from __future__ import annotations

import asyncio
import time

from ajobs.client import Client
from ajobs.client.storage.jetstream.buckets import Bucket
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.schedule import tick_id
from ajobs.protocol.subjects import ELECTIONS_BUCKET, SCHEDULER_ELECTION
from ajobs.protocol.timestamps import parse_timestamp
from ajobs.scheduler.scheduler import Scheduler
from services.scheduler.tests.integration.kit import QUEUE, TTL_S, leading, tasks_of, wait_more, wait_tasks

MARGIN_NS = SECOND_NS // 10
"""Nanoseconds that a write may take."""


class GoScheduler:
    """Holds the key as a scheduler of Choria Async Jobs does: without our header. It leaves the key at the end."""

    def __init__(self, client: Client) -> None:
        self._bucket = Bucket(client.storage.connection, client.storage.jetstream, ELECTIONS_BUCKET)
        self.writes: list[int] = []

    async def lead(self, renewals: int) -> None:
        """Take the key, and renew it some times."""
        revision = await self._bucket.put(SCHEDULER_ELECTION, b"go")
        self.writes.append(time.time_ns())
        for _ in range(renewals):
            await asyncio.sleep(0.75 * TTL_S)
            revision = await self._bucket.update(SCHEDULER_ELECTION, b"go", revision)
            self.writes.append(time.time_ns())

    def handled(self, start_ns: int, *, after_ns: int, margin_ns: int = MARGIN_NS) -> set[int]:
        """Return the ticks of every second that were due while it led, without those close to its begin and end."""
        begin, end = after_ns + margin_ns, self.writes[-1] - margin_ns
        return {n for n in range(100) if begin < start_ns + n * SECOND_NS <= end}


async def ticks_of(client: Client, start_ns: int) -> set[int]:
    made = await tasks_of(client)
    return {n for n in range(100) if tick_id("s", start_ns + n * SECOND_NS) in made}


async def test_ticks_of_a_go_scheduler_that_was_watched_are_not_run_again_and_all_others_are(client, server):
    info = await client.schedules.create("s", "@every 1s", "t", queue="Q", catch_up="all")
    start_ns = parse_timestamp(info.schedule.created_at)
    async with Client.connect(server.url, queue=QUEUE) as other:
        one, two = Scheduler(client, "one", janitor=False), Scheduler(other, "two", janitor=False)
        async with one.running(), two.running():
            await leading(one, two)
            await wait_tasks(client, 1)
            go = GoScheduler(client)
            await go.lead(3)
            await leading(one, two)
            await wait_more(client, 2)
    made, handled = await ticks_of(client, start_ns), go.handled(start_ns, after_ns=go.writes[1])
    assert len(handled) >= 2
    assert made & handled == set()
    others = set(range(min(made), max(made) + 1)) - go.handled(start_ns, after_ns=go.writes[1], margin_ns=-MARGIN_NS)
    assert others <= made


async def test_a_scheduler_that_starts_next_to_a_go_leader_counts_all_ticks_as_handled(client, server):
    info = await client.schedules.create("s", "@every 1s", "t", queue="Q", catch_up="all")
    start_ns = parse_timestamp(info.schedule.created_at)
    async with Scheduler(client, "one", janitor=False).running() as scheduler:
        await leading(scheduler)
        await wait_tasks(client, 1)
    before = await ticks_of(client, start_ns)
    go = GoScheduler(client)
    await go.lead(2)
    async with Scheduler(client, "two", janitor=False).running() as scheduler:
        await leading(scheduler)
        await wait_more(client, 2)
    made, handled = await ticks_of(client, start_ns), go.handled(start_ns, after_ns=0)
    assert handled - before
    assert made & handled == before
    assert set(range(max(go.handled(start_ns, after_ns=0, margin_ns=-MARGIN_NS)) + 1, max(made) + 1)) <= made
