"""Schedules in the client: create, change, list, watch; and what Go left in the bucket."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

from ajobs.client import Client
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import (
    ConfigurationError,
    DecodeError,
    InvalidNameError,
    InvalidPayloadError,
    InvalidScheduleError,
    ScheduleAlreadyExistsError,
    ScheduleChangedError,
    ScheduleNotFoundError,
)
from ajobs.protocol.schedule import CatchUp
from ajobs.protocol.subjects import schedule_key
from ajobs.protocol.timestamps import parse_timestamp


async def test_a_schedule_is_stored_in_the_form_that_go_reads(client):
    await client.schedules.create(
        "daily", "0 2 * * *", "report", queue="Q", payload={"a": 1}, deadline=timedelta(minutes=1), max_tries=3,
        catch_up="all", catch_up_limit=5, jitter=timedelta(seconds=2),
    )  # fmt: skip
    entry = await client.schedules.bucket.get("scheduled_tasks.daily")
    document = json.loads(entry.value)
    assert document.pop("created_at").endswith("Z")
    assert document == {
        "name": "daily", "schedule": "0 2 * * *", "queue": "Q", "task_type": "report", "payload": "eyJhIjoxfQ==",
        "deadline": 60 * SECOND_NS, "max_tries": 3,
    }  # fmt: skip
    found = await client.schedules.load("daily")
    assert (found.options.catch_up, found.options.catch_up_limit, found.options.jitter) == (
        CatchUp.ALL, 5, 2 * SECOND_NS,
    )  # fmt: skip
    assert len(found.next_runs(3)) == 3


async def test_an_existing_name_is_refused_and_nothing_is_changed(client):
    await client.schedules.create("s", "@daily", "t", catch_up="none")
    with pytest.raises(ScheduleAlreadyExistsError, match="update it"):
        await client.schedules.create("s", "@hourly", "t", catch_up="all")
    found = await client.schedules.load("s")
    assert (found.schedule.schedule, found.options.catch_up) == ("@daily", CatchUp.NONE)
    await client.schedules.delete("s")
    assert (await client.schedules.create("s", "@hourly", "t")).options.catch_up is CatchUp.LAST


async def test_a_deleted_schedule_leaves_no_messages_and_watchers_see_the_deletion(client, server):
    async def messages() -> int:
        info = await client.storage.jetstream.ask(f"STREAM.INFO.{client.schedules.bucket.stream}")
        return info["state"]["messages"]

    before = await messages()
    async with Client.connect(server.url) as other, client.schedules.watch() as changes:
        for _ in range(3):
            await other.schedules.create("s", "@daily", "t", paused=True)
            await other.schedules.update("s", schedule="@hourly")
            await other.schedules.delete("s")
        async with asyncio.timeout(30):
            while (await anext(changes)) != ("s", None):
                pass
    assert await messages() == before
    created = await client.schedules.create("s", "@daily", "t")
    assert not created.options.paused


async def test_changing_pausing_and_resuming_keep_the_rest(client):
    before = await client.schedules.create("s", "@every 1m", "t", payload=b"x", catch_up="none")
    await client.schedules.update("s", queue="OTHER", deadline=timedelta(seconds=30))
    assert (await client.schedules.pause("s")).next_runs() == []
    after = await client.schedules.resume("s")
    assert after.schedule.created_at == before.schedule.created_at
    assert (after.schedule.queue, after.schedule.payload, after.options.catch_up) == ("OTHER", b"x", CatchUp.NONE)
    assert parse_timestamp(after.since) > parse_timestamp(before.since)
    assert after.next_runs()


@pytest.mark.parametrize(
    ("arguments", "settings", "error"),
    [
        (("a b", "@daily", "t"), {}, InvalidNameError),
        (("s", "@daily", "t!"), {}, InvalidNameError),
        (("s", "@daily", "t"), {"queue": "a.b"}, InvalidNameError),
        (("s", "* * *", "t"), {}, InvalidScheduleError),
        (("s", "@daily", "t"), {"deadline": timedelta(seconds=29)}, InvalidScheduleError),
        (("s", "@daily", "t"), {"deadline": timedelta(days=365 * 300)}, InvalidScheduleError),
        (("s", "@daily", "t"), {"max_tries": -1}, InvalidScheduleError),
        (("s", "@daily", "t"), {"catch_up": "some"}, InvalidScheduleError),
        (("s", "@daily", "t"), {"catch_up_limit": 0}, InvalidScheduleError),
        (("s", "@daily", "t"), {"jitter": timedelta(seconds=-1)}, InvalidScheduleError),
        (("s", "@daily", "t"), {"payload": object}, InvalidPayloadError),
        (("s", "@daily", "t"), {"timezone": "UTC"}, ConfigurationError),
    ],
    ids=str,
)
async def test_an_invalid_schedule_is_refused_and_not_stored(client, arguments, settings, error):
    with pytest.raises(error):
        await client.schedules.create(*arguments, **settings)
    assert await client.schedules.all() == []


async def test_a_missing_schedule_is_an_error(client):
    for ask in (client.schedules.load, client.schedules.delete, client.schedules.pause, client.schedules.run_now):
        with pytest.raises(ScheduleNotFoundError, match="schedule missing does not exist"):
            await ask("missing")


async def test_a_change_that_lost_against_another_client_is_refused(client, server):
    await client.schedules.create("s", "@daily", "t")
    entry = client.schedules._entry

    async def entry_and_then_another(name):
        found = await entry(name)
        await client.schedules.bucket.put(found.key, found.value)
        return found

    client.schedules._entry = entry_and_then_another
    with pytest.raises(ScheduleChangedError, match="another client"):
        await client.schedules.update("s", schedule="@hourly")


@pytest.mark.parametrize(
    ("stored", "problem"),
    [
        (b"{", "corrupt schedule"),
        (b'{"name":"s","schedule":"* * *","queue":"Q","task_type":"t","payload":null,"max_tries":0,"created_at":"2026-01-01T00:00:00Z"}', "has 3 fields"),  # noqa: E501
        (b'{"name":"x","schedule":"@daily","queue":"Q","task_type":"t","payload":null,"max_tries":0,"created_at":"2026-01-01T00:00:00Z"}', "its document names it x"),  # noqa: E501
        (b'{"name":"s","schedule":"@daily","queue":"a.b","task_type":"t","payload":null,"max_tries":0,"created_at":"2026-01-01T00:00:00Z"}', "a.b"),  # noqa: E501
    ],
)  # fmt: skip
async def test_a_broken_document_is_listed_as_broken_next_to_valid_schedules(client, stored, problem):
    await client.schedules.create("fine", "@daily", "t")
    await client.schedules.bucket.put(schedule_key("s"), stored)
    fine, broken = await client.schedules.all()
    assert (fine.name, fine.problem) == ("fine", None)
    assert broken.name == "s"
    assert problem in broken.problem
    assert broken.next_runs() == []
    if stored == b"{":
        with pytest.raises(DecodeError):
            await client.schedules.load("s")
    await client.schedules.delete("s")
    assert len(await client.schedules.all()) == 1


async def test_watching_reports_every_change(client, server):
    async with Client.connect(server.url) as other, client.schedules.watch() as changes:
        await other.schedules.create("s", "@daily", "t")
        async with asyncio.timeout(30):
            name, info = await anext(changes)
            assert (name, info.schedule.schedule if info else None) in {("s", "@daily"), ("s", None)}
            await other.schedules.update("s", schedule="@hourly")
            while info is None or info.schedule.schedule != "@hourly":
                name, info = await anext(changes)
            await other.schedules.delete("s")
            while info is not None:
                name, info = await anext(changes)


async def test_a_schedule_can_be_run_now(client):
    await client.schedules.create("s", "@daily", "t", queue="Q", payload={"a": 1}, deadline=timedelta(hours=1))
    first, second = await client.schedules.run_now("s"), await client.schedules.run_now("s")
    assert first.id != second.id
    found = await client.load(first.id)
    assert (found.type, found.queue, found.payload, found.max_tries) == ("t", "Q", b'{"a":1}', 10)
    assert found.deadline is not None


async def test_without_a_bucket_there_are_no_schedules(server):
    async with Client.connect(server.url, no_storage_init=True) as client:
        assert await client.schedules.all() == []
        with pytest.raises(ScheduleNotFoundError):
            await client.schedules.load("nightly")


# ---- several who change at once


async def at_the_same_moment(client, monkeypatch, first, second):
    """Have ``second`` happen in full after ``first`` has read what is stored, and before it writes."""
    entered = client.schedules._with_options
    happened = []

    def with_options(*arguments):
        happened.append(arguments)
        if len(happened) > 1:
            return entered(*arguments)
        return Interrupted()

    class Interrupted:
        """Lets the other one through first."""

        async def __aenter__(self) -> None:
            await second()
            self._inner = entered(*happened[0])
            await self._inner.__aenter__()

        async def __aexit__(self, *error: object) -> bool | None:
            return await self._inner.__aexit__(*error)

    monkeypatch.setattr(client.schedules, "_with_options", with_options)
    await first()


async def test_a_pause_is_not_lost_to_a_concurrent_change(client, monkeypatch):
    await client.schedules.create("s", "@daily", "t")
    with pytest.raises(ScheduleChangedError, match="another client"):
        await at_the_same_moment(
            client, monkeypatch,
            lambda: client.schedules.update("s", catch_up="none"), lambda: client.schedules.pause("s"),
        )  # fmt: skip
    found = await client.schedules.load("s")
    assert (found.options.paused, found.options.catch_up) == (True, CatchUp.LAST)


async def test_of_two_schedules_created_concurrently_one_is_stored_as_a_whole(client, monkeypatch):
    with pytest.raises(ScheduleAlreadyExistsError):
        await at_the_same_moment(
            client, monkeypatch,
            lambda: client.schedules.create("s", "@daily", "first", paused=True),
            lambda: client.schedules.create("s", "@daily", "second", catch_up="all"),
        )  # fmt: skip
    found = await client.schedules.load("s")
    assert (found.schedule.task_type, found.options.paused, found.options.catch_up) == ("second", False, CatchUp.ALL)


async def test_concurrent_creations_of_a_schedule_store_exactly_one_of_them(client, server):
    async def create(number: int) -> bool:
        try:
            await client.schedules.create("s", "@daily", f"t{number}", catch_up="all", catch_up_limit=number)
        except ScheduleAlreadyExistsError:
            return False
        return True

    made = await asyncio.gather(*(create(number) for number in range(1, 21)))
    found = await client.schedules.load("s")
    assert made.count(True) == 1
    assert found.schedule.task_type == f"t{made.index(True) + 1}"
    assert found.options.catch_up_limit == made.index(True) + 1


async def test_a_refused_change_leaves_the_options_unchanged(client):
    await client.schedules.create("s", "@daily", "t", catch_up="none")
    entry = client.schedules._entry

    async def entry_and_then_another(name):
        found = await entry(name)
        await client.schedules.bucket.put(found.key, found.value)
        return found

    client.schedules._entry = entry_and_then_another
    with pytest.raises(ScheduleChangedError, match="another client"):
        await client.schedules.pause("s")
    client.schedules._entry = entry
    found = await client.schedules.load("s")
    assert (found.options.paused, found.options.catch_up) == (False, CatchUp.NONE)


# ---- together with Go


GO_SCHEDULE = (
    b'{"name":"s","schedule":"@every 1m","queue":"DEFAULT","task_type":"email:new","payload":"eyJhIjoxfQ==",'
    b'"deadline":3600000000000,"max_tries":5,"created_at":"2026-01-02T03:04:05.123456789Z"}'
)


async def test_schedules_of_go_are_read_without_the_options_of_an_older_schedule(client):
    """Go deletes a schedule but not our options for it, and may create another one with that name."""
    await client.schedules.create("s", "@daily", "t", paused=True)
    await client.schedules.bucket.delete(schedule_key("s"))
    await client.schedules.bucket.put(schedule_key("s"), GO_SCHEDULE)
    found = await client.schedules.load("s")
    assert (found.schedule.task_type, found.schedule.payload) == ("email:new", b'{"a":1}')
    assert (found.schedule.deadline, found.schedule.max_tries) == (3600 * SECOND_NS, 5)
    assert (found.options.paused, found.problem) == (False, None)
    created = found.schedule.created_time
    assert parse_timestamp(found.schedule.created_at) % SECOND_NS == 123_456_789
    assert found.next_runs(2, created) == [created + timedelta(minutes=1), created + timedelta(minutes=2)]
    assert (await client.schedules.pause("s")).options.paused
    changed = json.loads((await client.schedules.bucket.get(schedule_key("s"))).value)
    assert changed == json.loads(GO_SCHEDULE)
    assert [info.options.paused for info in await client.schedules.all()] == [True]


async def test_a_loaded_schedule_reports_its_problem_and_can_be_corrected(client):
    wrong = GO_SCHEDULE.replace(b"@every 1m", b"61 * * * *")
    await client.schedules.bucket.put(schedule_key("s"), wrong)
    found = await client.schedules.load("s")
    assert "field 1 (minute)" in found.problem
    assert found.next_runs() == []
    assert (await client.schedules.update("s", schedule="1 * * * *")).problem is None


async def test_a_text_of_any_length_in_the_bucket_is_a_broken_schedule(client):
    await client.schedules.bucket.put(schedule_key("s"), GO_SCHEDULE.replace(b"@every 1m", b"9" * 5000 + b" * * * *"))
    (found,) = await client.schedules.all()
    assert "5,008 characters" in found.problem
