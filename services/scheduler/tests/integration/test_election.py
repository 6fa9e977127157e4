"""The election of the leader: take-over, leases, and harm to the key and its bucket."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from ajobs.client import Client
from ajobs.client.storage.jetstream.buckets import Bucket
from ajobs.client.storage.jetstream.errors import RevisionError
from ajobs.protocol.subjects import ELECTIONS_BUCKET, SCHEDULER_ELECTION
from ajobs.scheduler.election import Election, Standing
from ajobs.scheduler.scheduler import Scheduler
from services.scheduler.tests.integration.kit import LOGGER, QUEUE, TTL_S, leading, quick_elections_again


async def test_one_of_three_leads_and_another_takes_over_at_once_when_it_stops(client, server, monkeypatch):
    async with AsyncExitStack() as stack:
        schedulers = []
        for name in ("one", "two", "three"):
            own = await stack.enter_async_context(Client.connect(server.url, queue=QUEUE))
            schedulers.append(Scheduler(own, name, janitor=False))
        running = [asyncio.create_task(scheduler.run()) for scheduler in schedulers]
        first = await leading(*schedulers)
        assert sum(scheduler.election.is_leading for scheduler in schedulers) == 1
        # A standby that waited for its own interval would wait for an hour.
        monkeypatch.setattr(Election, "interval_s", 3600)
        first.stop()
        await running[schedulers.index(first)]
        rest = [scheduler for scheduler in schedulers if scheduler is not first]
        await leading(*rest)
        for scheduler in rest:
            scheduler.stop()
        await asyncio.gather(*running)


async def test_two_schedulers_with_one_name_never_lead_together(client, server):
    async with Client.connect(server.url, queue=QUEUE) as other:
        one, two = Scheduler(client, "same", janitor=False), Scheduler(other, "same", janitor=False)
        async with one.running(), two.running():
            await leading(one, two)
            for _ in range(100):
                assert not (one.election.is_leading and two.election.is_leading)
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("harm", ["delete", "overwrite", "bucket"])
async def test_a_leader_whose_key_is_changed_stands_down_and_a_new_one_is_elected(client, server, harm):
    async with Client.connect(server.url, queue=QUEUE) as other:
        scheduler = Scheduler(other, "one", janitor=False)
        async with scheduler.running():
            await leading(scheduler)
            bucket = scheduler.election._bucket
            if harm == "delete":
                await bucket.delete(SCHEDULER_ELECTION)
            elif harm == "overwrite":
                await bucket.put(SCHEDULER_ELECTION, b"another")
            else:
                await client.storage.jetstream.call(f"STREAM.DELETE.{bucket.stream}")
            async with asyncio.timeout(30):
                while scheduler.election.is_leading:
                    await asyncio.sleep(0.01)
            if harm == "bucket":
                await quick_elections_again(client)
            await leading(scheduler)
            assert (await bucket.get(SCHEDULER_ELECTION)).value == b"one"


async def test_a_leader_that_cannot_reach_the_server_stops_acting_within_its_lease(client, server):
    scheduler = Scheduler(client, "one", janitor=False)
    async with scheduler.running():
        await leading(scheduler)
        server.kill()
        async with asyncio.timeout(TTL_S + 5):
            while scheduler.election.is_leading:
                await asyncio.sleep(0.01)
        await server.start()
        await leading(scheduler)


async def test_a_winner_waits_before_it_acts_although_others_try(client, server):
    """Attempts of others, which the server refuses, do not make it act earlier."""
    async with Client.connect(server.url, queue=QUEUE) as other:
        election = Election(client, "waits", "one", LOGGER)
        async with election.campaigning():
            async with asyncio.timeout(30):
                while election._standing is not Standing.ELECTED:
                    await asyncio.sleep(0)
            won = time.monotonic()
            bucket = Bucket(other.storage.connection, other.storage.jetstream, ELECTIONS_BUCKET)
            while not election.is_leading:
                with pytest.raises(RevisionError):
                    await bucket.create("waits", b"two")
                await asyncio.sleep(0.05)
        assert time.monotonic() - won >= 0.75 * TTL_S - 0.1


@pytest.mark.parametrize("taken", ["key", "bucket"])
async def test_the_winner_of_a_deleted_key_waits_until_the_old_lease_has_expired(client, taken):
    """Its holder may be paused, and continue within its lease."""
    jetstream = client.storage.jetstream
    bucket = Bucket(client.storage.connection, jetstream, ELECTIONS_BUCKET)
    await bucket.create("held", b"another")
    election = Election(client, "held", "one", LOGGER)
    async with election.campaigning():
        if taken == "key":
            await bucket.delete("held")
        else:
            await jetstream.call(f"STREAM.DELETE.KV_{ELECTIONS_BUCKET}")
            await quick_elections_again(client)
            await election._find_bucket()
        began = time.monotonic()
        async with asyncio.timeout(30):
            while not election.is_leading:
                await asyncio.sleep(0.01)
        assert time.monotonic() - began >= TTL_S - 0.3


async def test_an_unexpected_failure_does_not_end_the_campaign(client, monkeypatch):
    election = Election(client, "robust", "one", LOGGER)
    keep = election._keep
    failures = iter([RuntimeError("unexpected")])

    async def fail_once():
        for failure in failures:
            raise failure
        return await keep()

    monkeypatch.setattr(election, "_keep", fail_once)
    async with election.campaigning(), asyncio.timeout(30):
        while not election.is_leading:
            await asyncio.sleep(0.01)
