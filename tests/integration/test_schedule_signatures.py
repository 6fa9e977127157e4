"""A scheduler signs tasks only for signed schedules, on a server with an account for each role."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from ajobs.client import Client
from ajobs.client.storage.provision import ensure_stream
from ajobs.protocol.buckets import bucket_config
from ajobs.protocol.codec import encode
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import ConfigurationError, InvalidKeyError, InvalidScheduleError
from ajobs.protocol.schedule_signing import sign_schedule
from ajobs.protocol.signing import Signer
from ajobs.protocol.subjects import ELECTIONS_BUCKET, schedule_key, schedule_options_key
from ajobs.scheduler import Scheduler, metrics
from tests.integration.accounts import Accounts, accounts

SEED, OTHER_SEED = b"s" * 32, b"o" * 32


@asynccontextmanager
async def scheduling(found: Accounts, **settings: object) -> AsyncGenerator[Scheduler]:
    """Run a leading scheduler with the key of its role, and by default with the seed."""
    options: dict[str, Any] = {"signing_key": SEED, "no_storage_init": True, **settings}
    async with (
        found.connect("scheduler", **options) as client,
        Scheduler(client, "one", janitor=False).running() as scheduler,
    ):
        async with asyncio.timeout(60):
            while not scheduler.schedules.active:
                await asyncio.sleep(0.02)
        yield scheduler


@pytest.fixture
async def server() -> AsyncGenerator[Accounts]:
    async with accounts("Q") as found:
        async with found.connect("admin") as admin:
            # Keys that live for 2 instead of 10 seconds: a scheduler leads sooner.
            jetstream = admin.storage.jetstream
            await jetstream.call(f"STREAM.DELETE.KV_{ELECTIONS_BUCKET}")
            config = bucket_config(ELECTIONS_BUCKET, "", replicas=1, memory=False, ttl_ns=2 * SECOND_NS)
            await ensure_stream(jetstream, config)
        yield found


async def types(client: Client, wanted: str, count: int = 2) -> set[str]:
    """Wait for some tasks of a type, and return the types of all tasks."""
    async with asyncio.timeout(60):
        while True:
            found = [task async for task in client.tasks()]
            if sum(task.type == wanted for task in found) >= count:
                assert all(task.signature for task in found)
                return {task.type for task in found}
            await asyncio.sleep(0.1)


async def store(client: Client, name: str, schedule: object, options: object | None) -> None:
    """Write documents into the bucket as someone without the seed can."""
    await client.schedules.bucket.put(schedule_key(name), encode(schedule))
    if options is not None:
        await client.schedules.bucket.put(schedule_options_key(name), encode(options))


async def test_documents_written_without_the_seed_never_lead_to_a_signed_task(server, caplog):
    caplog.set_level(logging.ERROR)
    async with server.connect("admin", signing_key=SEED) as owner, server.connect("admin") as attacker:
        good = await owner.schedules.create("good", "@every 1s", "good", queue="Q", payload={"a": 1})
        schedule, options = good.schedule, good.options
        changed = msgspec.structs.replace
        foreign = changed(options, signatures=(sign_schedule(schedule, options, Signer(OTHER_SEED)),))
        attacks = {
            "unsigned": (changed(schedule, name="unsigned", task_type="evil1"), None),
            "copied": (changed(schedule, name="copied", task_type="evil2"), options),
            "renamed": (changed(schedule, name="renamed"), options),
            "foreign": (changed(schedule, name="foreign", task_type="evil3"), foreign),
            "garbage": (changed(schedule, name="garbage", task_type="evil4"), changed(options, signatures=("00", "é"))),
        }
        for name, documents in attacks.items():
            await store(attacker, name, *documents)
        async with scheduling(server) as scheduler:
            assert await types(owner, "good") == {"good"}
            known = scheduler.schedules.timetable.schedules
            assert {name for name, info in known.items() if info.distrusted} == set(attacks)
            assert metrics.BROKEN._value.get() == len(attacks)
            # Each field of the signed documents, changed while the scheduler leads.
            for field, value in {"task_type": "evil5", "payload": b"2", "queue": "DEFAULT", "max_tries": 1}.items():
                await store(attacker, "good", changed(schedule, **{field: value}), options)
                await known_as(scheduler, "good", distrusted=True)
            for field, value in {"schedule": "@every 2s", "deadline": 60 * SECOND_NS}.items():
                await store(attacker, "good", changed(schedule, **{field: value}), options)
                await known_as(scheduler, "good", distrusted=True)
            for field, value in {"paused": True, "jitter": 1, "catch_up": "all", "catch_up_limit": 7}.items():
                await store(attacker, "good", schedule, changed(options, **{field: value}))
                await known_as(scheduler, "good", distrusted=True)
            with pytest.raises(InvalidScheduleError, match="ajc schedule sign unsigned"):
                await owner.schedules.run_now("unsigned")
            # Neither a change nor a pause by the owner gives a signature to what others wrote.
            for change in ({"paused": True}, {"paused": False}, {"jitter": 1}):
                assert (await owner.schedules.update("unsigned", **change)).distrusted
            await store(attacker, "good", schedule, options)
            await known_as(scheduler, "good", distrusted=False)
            assert await types(owner, "good", 4) == {"good"}
        lines = [record for record in caplog.records if getattr(record, "schedule", "") == "renamed"]
        assert len(lines) == 1
        assert "ajc schedule sign renamed" in lines[0].getMessage()


async def known_as(scheduler: Scheduler, name: str, *, distrusted: bool) -> None:
    """Wait until the scheduler has read a change, twice: once for each document."""
    async with asyncio.timeout(30):
        while scheduler.schedules.timetable.schedules[name].distrusted != distrusted:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)


async def test_changes_with_the_seed_stay_signed_and_are_never_seen_as_broken(server, caplog):
    caplog.set_level(logging.ERROR)
    async with server.connect("admin", signing_key=SEED) as owner, scheduling(server):
        await owner.schedules.create("s", "@every 1s", "t0", queue="Q")
        for number in range(1, 30):
            await owner.schedules.update("s", task_type=f"t{number}", catch_up="all", catch_up_limit=number)
        await owner.schedules.pause("s")
        assert (await owner.schedules.resume("s")).problem is None
        assert "t29" in await types(owner, "t29", 1)
    assert [record.getMessage() for record in caplog.records if "broken" in record.getMessage()] == []


async def test_a_change_that_stops_halfway_leaves_a_signed_schedule(server, monkeypatch):
    """The options are stored first. They are valid with the old and with the new schedule."""
    async with server.connect("admin", signing_key=SEED) as owner:
        await owner.schedules.create("s", "@every 1s", "old", queue="Q")
        update = owner.schedules.bucket.update

        async def stop_before_the_schedule(key, *arguments, **settings):
            if key == schedule_key("s"):
                raise asyncio.CancelledError
            return await update(key, *arguments, **settings)

        monkeypatch.setattr(owner.schedules.bucket, "update", stop_before_the_schedule)
        with pytest.raises(asyncio.CancelledError):
            await owner.schedules.update("s", task_type="new", catch_up="none")
        info = await owner.schedules.load("s")
        assert (info.problem, info.schedule.task_type) == (None, "old")


async def test_signing_makes_a_foreign_schedule_run(server):
    async with server.connect("admin", signing_key=SEED) as owner, server.connect("admin") as other:
        await other.schedules.create("s", "@every 1s", "t", queue="Q")
        assert (await other.schedules.load("s")).problem is None
        found = await owner.schedules.load("s")
        assert (found.distrusted, found.next_runs()) == (True, [])
        with pytest.raises(ConfigurationError, match="signing seed"):
            await other.schedules.sign("s")
        async with scheduling(server):
            assert (await owner.schedules.sign("s")).problem is None
            assert await types(owner, "t") == {"t"}
        # A change without the seed drops the signature.
        assert (await other.schedules.pause("s")).options.signatures == ()


@pytest.mark.parametrize(
    ("settings", "runs"),
    [
        ({}, {"own"}),
        ({"schedule_keys": [Signer(OTHER_SEED).public_key_hex]}, {"own", "other"}),
        ({"unsigned_schedules": "allow"}, {"own", "unsigned"}),
        ({"signing_key": None}, {"own", "other", "unsigned"}),
        (
            {"signing_key": None, "unsigned_schedules": "refuse", "schedule_keys": [Signer(OTHER_SEED).public_key_hex]},
            {"other"},
        ),
    ],
)
async def test_the_settings_choose_whose_schedules_run(server, settings, runs):
    for name, key in (("own", SEED), ("other", OTHER_SEED), ("unsigned", None)):
        async with server.connect("admin", signing_key=key) as client:
            await client.schedules.create(name, "@daily", name, queue="Q")
    options = {"signing_key": SEED, **settings}
    async with server.connect("scheduler", no_storage_init=True, **options) as client:
        found = {info.name for info in await client.schedules.all() if info.problem is None}
    assert found == runs


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"unsigned_schedules": "refuse"}, ConfigurationError),
        ({"schedule_keys": ["nonsense"]}, InvalidKeyError),
        ({"unsigned_schedules": "maybe"}, ConfigurationError),
    ],
)
async def test_settings_without_a_meaning_are_refused(server, settings, error):
    with pytest.raises(error):
        async with server.connect("admin", **settings):
            pass
