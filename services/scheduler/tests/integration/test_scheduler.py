"""The scheduler service, and several of them: each tick one task, whatever happens to them and to the server."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
import time
import urllib.request
from collections import Counter
from contextlib import AsyncExitStack
from datetime import timedelta

import msgspec
import pytest

from ajobs.client import Client, Queue, TaskState
from ajobs.client.maintenance.janitor import Janitor
from ajobs.client.storage.jetstream.buckets import Bucket, RevisionError
from ajobs.client.storage.provision import bucket_config, ensure_stream
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import UnavailableError
from ajobs.protocol.events import LeaderEvent
from ajobs.protocol.ids import parse_ksuid
from ajobs.protocol.schedule import tick_id
from ajobs.protocol.signing import Signer, verify_task
from ajobs.protocol.subjects import ELECTIONS_BUCKET, SCHEDULER_ELECTION, SCHEDULER_PROGRESS_KEY
from ajobs.protocol.timestamps import parse_timestamp
from ajobs.scheduler import scheduler as service
from ajobs.scheduler.election import Election, Standing
from ajobs.scheduler.runs import make_tasks_of
from ajobs.scheduler.scheduler import Scheduler
from ajobs.scheduler.timetable import Run
from ajobs.testing.processes import program

TTL_S = 2
LOGGER = logging.getLogger("test")
QUEUE = Queue(name="Q", max_entries=0)


@pytest.fixture
async def client(server):
    """Return a client of a server whose elections go faster than those of the original."""
    async with Client.connect(server.url, queue=QUEUE, request_timeout=1) as connected:
        await quick_elections(connected)
        yield connected


async def quick_elections(client: Client) -> None:
    jetstream = client.storage.jetstream
    await jetstream.call(f"STREAM.DELETE.KV_{ELECTIONS_BUCKET}")
    config = bucket_config(ELECTIONS_BUCKET, "", replicas=1, memory=False, ttl_ns=TTL_S * SECOND_NS)
    await jetstream.call(f"STREAM.CREATE.KV_{ELECTIONS_BUCKET}", config)


async def leading(*schedulers: Scheduler) -> Scheduler:
    async with asyncio.timeout(60):
        while not any(scheduler.election.is_leading and scheduler._leads for scheduler in schedulers):
            await asyncio.sleep(0.01)
    return next(scheduler for scheduler in schedulers if scheduler.election.is_leading)


async def tasks_of(client: Client) -> dict[str, object]:
    return {task.id: task async for task in client.tasks()}


async def wait_tasks(client: Client, count: int) -> list:
    async with asyncio.timeout(60):
        while len(found := await tasks_of(client)) < count:
            await asyncio.sleep(0.02)
    return list(found.values())


# ---- what is made


async def test_a_scheduled_task_is_what_the_schedule_says(server, client):
    async with Client.connect(server.url, queue=QUEUE, signing_key=bytes(32)) as signing:
        scheduler = Scheduler(signing, "one")
        async with client.watch() as events, scheduler.running():
            await client.schedules.create(
                "s", "@every 1s", "report", queue="Q", payload={"a": 1}, deadline=timedelta(minutes=1), max_tries=3
            )
            task, *_ = await wait_tasks(client, 1)
            elected = await anext(event async for event in events if isinstance(event, LeaderEvent))
    schedule = (await client.schedules.load("s")).schedule
    tick_ns = parse_timestamp(task.deadline) - 60 * SECOND_NS
    assert (tick_ns - parse_timestamp(schedule.created_at)) % SECOND_NS == 0
    assert task.id == tick_id("s", tick_ns)
    assert parse_ksuid(task.id).unix_s == tick_ns // SECOND_NS
    assert (task.type, task.queue, task.payload, task.max_tries) == ("report", "Q", b'{"a":1}', 3)
    assert task.state is TaskState.NEW
    verify_task(task, Signer(bytes(32)).verifier, optional=False)
    assert (elected.name, elected.component) == ("one", "task_scheduler")


async def test_changes_take_effect_at_once(client):
    async with Scheduler(client, "one").running() as scheduler:
        await leading(scheduler)
        await client.schedules.create("s", "@every 1s", "old", queue="Q")
        await wait_tasks(client, 1)
        await client.schedules.update("s", task_type="changed")
        async with asyncio.timeout(30):
            while not any(task.type == "changed" for task in (await tasks_of(client)).values()):
                await asyncio.sleep(0.02)
        changed_at = min(
            parse_timestamp(task.created) for task in (await tasks_of(client)).values() if task.type == "changed"
        )
        assert all(
            t.type == "changed" for t in (await tasks_of(client)).values() if parse_timestamp(t.created) >= changed_at
        )
        await client.schedules.pause("s")
        async with asyncio.timeout(30):
            while scheduler.timetable.next_due_ns is not None:
                await asyncio.sleep(0.01)
        await client.schedules.delete("s")
        async with asyncio.timeout(30):
            while scheduler.timetable.schedules:
                await asyncio.sleep(0.01)


async def test_a_broken_schedule_and_a_missing_queue_disturb_nobody(client):
    await client.schedules.bucket.put("scheduled_tasks.broken", b"{")
    await client.schedules.create("nowhere", "@every 1s", "t", queue="MISSING")
    await client.schedules.create("fine", "@every 1s", "t", queue="Q")
    async with Scheduler(client, "one").running() as scheduler:
        async with asyncio.timeout(60):
            while (await client.queue_info("Q")).items < 2:
                await asyncio.sleep(0.02)
        assert scheduler.timetable.schedules["broken"].problem is not None
    states = Counter((task.queue, task.state) for task in (await tasks_of(client)).values())
    assert states["MISSING", TaskState.QUEUE_ERROR] >= 1


@pytest.mark.parametrize(("catch_up", "missed"), [("none", []), ("last", [5]), ("all", [1, 2, 3, 4, 5])])
async def test_what_was_missed_is_made_up_for_by_the_next_leader(client, monkeypatch, catch_up, missed):
    """A leader is at work and stops; a schedule of every hour is looked at as if five hours had passed."""
    info = await client.schedules.create("s", "@every 1h", "t", queue="Q", catch_up=catch_up)
    async with Scheduler(client, "one").running() as scheduler:
        await leading(scheduler)
    later_ns = parse_timestamp(info.schedule.created_at) + int(5.5 * 3600) * SECOND_NS

    class Later:
        """A clock that is some hours ahead."""

        monotonic = staticmethod(time.monotonic)
        time_ns = staticmethod(lambda: later_ns + time.time_ns() % SECOND_NS)

    monkeypatch.setattr(service, "time", Later)
    async with Scheduler(client, "two").running() as scheduler:
        await leading(scheduler)
    expected = {tick_id("s", parse_timestamp(info.schedule.created_at) + n * 3600 * SECOND_NS) for n in missed}
    assert set(await tasks_of(client)) == expected


async def test_a_server_that_does_not_answer_for_a_moment_loses_no_run(client, monkeypatch):
    """Not even one of a schedule that lets missed runs go; and the schedule goes on."""
    failures = iter([UnavailableError("no answer"), UnavailableError("no answer")])

    async def fail_at_first(*arguments):
        for failure in failures:
            raise failure
        return await make_tasks_of(*arguments)

    async with Scheduler(client, "one", janitor=False).running() as scheduler:
        await leading(scheduler)
        monkeypatch.setattr(service, "make_tasks_of", fail_at_first)
        info = await client.schedules.create("s", "@every 1s", "t", queue="Q", catch_up="none")
        made = {task.id for task in await wait_tasks(client, 3)}
    assert {tick_id("s", parse_timestamp(info.schedule.created_at) + n * SECOND_NS) for n in (1, 2, 3)} <= made


async def test_a_stop_does_not_wait_for_what_is_not_begun(client):
    scheduler = Scheduler(client, "one", janitor=False)
    run = await run_of(client)
    async with scheduler.election.campaigning():
        async with asyncio.timeout(30):
            while not scheduler.election.is_leading:
                await asyncio.sleep(0.01)
        assert await scheduler._make([run])
        scheduler.stop()
        assert not await scheduler._make([run._replace(tick_ns=run.tick_ns + SECOND_NS)])
    assert len(await tasks_of(client)) == 1


class Clock:
    """A wall clock that can be set."""

    monotonic = staticmethod(time.monotonic)
    ahead_ns = 0

    def time_ns(self) -> int:
        return time.time_ns() + self.ahead_ns


async def test_a_clock_that_was_years_ahead_and_is_set_right_is_believed(client, monkeypatch):
    clock = Clock()
    clock.ahead_ns = 10 * 365 * 86400 * SECOND_NS
    monkeypatch.setattr(service, "time", clock)
    async with Scheduler(client, "one", janitor=False).running() as scheduler:
        await leading(scheduler)
        await client.schedules.create("s", "@every 1s", "t", queue="Q")
        async with asyncio.timeout(30):
            while (scheduler.timetable.next_due_ns or 0) < clock.time_ns() - 60 * SECOND_NS:
                await asyncio.sleep(0.01)
        clock.ahead_ns = 0
        right_ns = time.time_ns()
        ahead = set(await tasks_of(client))
        async with asyncio.timeout(30):
            while len(await tasks_of(client)) < len(ahead) + 2:
                await asyncio.sleep(0.02)
        seconds = [parse_ksuid(task_id).unix_s for task_id in await tasks_of(client) if task_id not in ahead]
        progress = await client.schedules.bucket.get(SCHEDULER_PROGRESS_KEY)
    assert all(abs(second - right_ns // SECOND_NS) < 3600 for second in seconds)
    assert parse_timestamp(json.loads(progress.value)["done_until"]) < right_ns + 3600 * SECOND_NS


async def test_a_clock_that_is_set_back_a_little_has_nothing_made_twice(client, monkeypatch):
    """Not even when its tasks were discarded, by this leader and the next one."""
    clock = Clock()
    monkeypatch.setattr(service, "time", clock)
    made: list[int] = []

    async def note(_client, runs, _logger):
        made.extend(run.tick_ns for run in runs)

    monkeypatch.setattr(service, "make_tasks_of", note)
    async with Scheduler(client, "one", janitor=False).running() as scheduler:
        await leading(scheduler)
        await client.schedules.create("s", "@every 1s", "t", queue="Q", catch_up="all")
        async with asyncio.timeout(30):
            while len(made) < 2:
                await asyncio.sleep(0.01)
        clock.ahead_ns = -2 * SECOND_NS
        async with asyncio.timeout(30):
            while len(made) < 4:
                await asyncio.sleep(0.01)
        clock.ahead_ns -= SECOND_NS
    async with Scheduler(client, "two", janitor=False).running() as scheduler:
        await leading(scheduler)
        async with asyncio.timeout(30):
            while len(made) < 7:
                await asyncio.sleep(0.01)
    assert [tick - made[0] for tick in made] == [n * SECOND_NS for n in range(len(made))]


async def test_a_change_that_was_not_told_is_found(client, monkeypatch):
    monkeypatch.setattr(service, "RESCAN_S", 0.2)
    monkeypatch.setattr(Scheduler, "_note_change", lambda *_: None)
    async with Scheduler(client, "one", janitor=False).running() as scheduler:
        await leading(scheduler)
        for name in ("s", "gone"):
            await client.schedules.create(name, "@every 1h", "t", queue="Q")
        async with asyncio.timeout(30):
            while set(scheduler.timetable.schedules) != {"s", "gone"}:
                await asyncio.sleep(0.01)
        await client.schedules.update("s", schedule="@every 1s")
        await client.schedules.delete("gone")
        await wait_tasks(client, 1)
        async with asyncio.timeout(30):
            while set(scheduler.timetable.schedules) != {"s"}:
                await asyncio.sleep(0.01)


# ---- exactly one task for a tick


async def run_of(client: Client) -> Run:
    info = await client.schedules.create("s", "@every 1s", "t", queue="Q")
    tick_ns = parse_timestamp(info.schedule.created_at) + SECOND_NS
    return Run(tick_ns, tick_ns, info)


async def test_a_run_that_is_made_by_many_at_once_is_made_once(client):
    run = await run_of(client)
    made = await asyncio.gather(*(make_tasks_of(client, [run], LOGGER) for _ in range(20)))
    assert sum(made) == 1
    assert len(await tasks_of(client)) == 1
    assert (await client.queue_info("Q")).items == 1


async def test_of_many_runs_each_is_dealt_with_on_its_own(client):
    """Those that were made before, those without a queue and those of a text that is no task type disturb no others."""
    run = await run_of(client)
    info = run.info
    nowhere = msgspec.structs.replace(info, schedule=msgspec.structs.replace(info.schedule, name="n", queue="MISSING"))
    wrong = msgspec.structs.replace(info, schedule=msgspec.structs.replace(info.schedule, name="w", queue="a.b"))
    ticks = [run.tick_ns + n * SECOND_NS for n in range(1_500)]
    runs = [Run(tick, tick, info) for tick in ticks]
    assert await make_tasks_of(client, runs[:700], LOGGER) == 700
    mixed = [*runs[600:], Run(ticks[0], ticks[0], nowhere), Run(ticks[0], ticks[0], wrong)]
    assert await make_tasks_of(client, mixed, LOGGER) == 800
    states = Counter((task.queue, task.state) for task in (await tasks_of(client)).values())
    assert states == {("Q", TaskState.NEW): 1_500, ("MISSING", TaskState.QUEUE_ERROR): 1}
    assert (await client.queue_info("Q")).items == 1_500


async def test_a_task_without_its_item_gets_it_from_the_next_leader(client):
    run = await run_of(client)
    await make_tasks_of(client, [run], LOGGER)
    await client.purge_queue("Q")
    await client.delete_queue("Q")
    await client.create_queue(QUEUE)
    assert not await make_tasks_of(client, [run], LOGGER)
    assert (await client.queue_info("Q")).items == 1


async def test_a_run_whose_task_was_done_and_discarded_is_not_made_again(client):
    run = await run_of(client)
    await make_tasks_of(client, [run], LOGGER)
    (task_id,) = await tasks_of(client)
    await client.delete(task_id)
    assert not await make_tasks_of(client, [run], LOGGER)
    assert await tasks_of(client) == {}


# ---- elections


async def test_one_of_three_leads_and_another_takes_over_at_once_when_it_stops(client, server, monkeypatch):
    async with AsyncExitStack() as stack:
        schedulers = []
        for name in ("one", "two", "three"):
            own = await stack.enter_async_context(Client.connect(server.url, queue=QUEUE))
            schedulers.append(Scheduler(own, name, janitor=False))
        running = [asyncio.create_task(scheduler.run()) for scheduler in schedulers]
        first = await leading(*schedulers)
        assert sum(scheduler.election.is_leading for scheduler in schedulers) == 1
        # Whoever waited for its interval from now on would wait for ever.
        monkeypatch.setattr(Election, "interval_s", 3600)
        first.stop()
        await running[schedulers.index(first)]
        rest = [scheduler for scheduler in schedulers if scheduler is not first]
        await leading(*rest)
        for scheduler in rest:
            scheduler.stop()
        await asyncio.gather(*running)


async def test_two_by_one_name_are_told_apart(client, server):
    async with Client.connect(server.url, queue=QUEUE) as other:
        one, two = Scheduler(client, "same", janitor=False), Scheduler(other, "same", janitor=False)
        async with one.running(), two.running():
            await leading(one, two)
            for _ in range(100):
                assert not (one.election.is_leading and two.election.is_leading)
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("harm", ["delete", "overwrite", "bucket"])
async def test_a_leader_whose_key_is_harmed_stands_down_and_somebody_leads_again(client, server, harm):
    async with Client.connect(server.url, queue=QUEUE) as other:
        scheduler = Scheduler(other, "one", janitor=False)
        async with scheduler.running():
            await leading(scheduler)
            bucket = scheduler.election._bucket
            if harm == "delete":
                await bucket.delete(SCHEDULER_ELECTION)
            elif harm == "overwrite":
                await bucket.put(SCHEDULER_ELECTION, b"somebody")
            else:
                await client.storage.jetstream.call(f"STREAM.DELETE.{bucket.stream}")
            async with asyncio.timeout(30):
                while scheduler.election.is_leading:
                    await asyncio.sleep(0.01)
            if harm == "bucket":
                await quick_elections_again(client)
            await leading(scheduler)
            assert (await bucket.get(SCHEDULER_ELECTION)).value == b"one"


async def quick_elections_again(client: Client) -> None:
    """Somebody, the scheduler maybe, makes the bucket anew."""
    jetstream = client.storage.jetstream
    config = bucket_config(ELECTIONS_BUCKET, "", replicas=1, memory=False, ttl_ns=TTL_S * SECOND_NS)
    await ensure_stream(jetstream, config)


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


async def test_a_winner_waits_before_it_acts_however_many_others_try(client, server):
    """The attempts of others, which the server refuses, are no reason to act earlier."""
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
async def test_who_wins_what_was_taken_away_waits_until_nobody_can_act_by_it(client, taken):
    """Its holder may be paused, and go on within its lease."""
    jetstream = client.storage.jetstream
    bucket = Bucket(client.storage.connection, jetstream, ELECTIONS_BUCKET)
    await bucket.create("held", b"somebody")
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
    failures = iter([RuntimeError("nobody expects it")])

    async def fail_once():
        for failure in failures:
            raise failure
        return await keep()

    monkeypatch.setattr(election, "_keep", fail_once)
    async with election.campaigning(), asyncio.timeout(30):
        while not election.is_leading:
            await asyncio.sleep(0.01)


async def test_the_leader_cleans_up_behind_tasks(client):
    task = await client.enqueue("t")
    await client.delete(task.id)
    async with Scheduler(client, "one").running():
        async with asyncio.timeout(60):
            while (await client.queue_info("Q")).items:
                await asyncio.sleep(0.02)


async def test_a_janitor_that_fails_is_reported_and_disturbs_no_schedule(client, monkeypatch, caplog):
    async def fail(*_args, **_options):
        raise RuntimeError("nobody expects it")

    monkeypatch.setattr(Janitor, "run", fail)
    async with Scheduler(client, "one").running() as scheduler:
        await leading(scheduler)
        await client.schedules.create("s", "@every 1s", "t", queue="Q")
        await wait_tasks(client, 1)
    assert "no more of this until a restart: janitor" in caplog.text


# ---- everything at once


async def test_every_tick_has_one_task_whatever_happens(client, server):
    """Three schedulers over a schedule of every second: killed, stopped past its lease, the server restarted."""
    async with AsyncExitStack() as stack:
        processes = {}

        async def begin(name: str) -> None:
            arguments = ("--name", name, "--server", server.url, "--no-janitor")
            processes[name] = await stack.enter_async_context(program("ajobs.scheduler.main", *arguments))

        for name in ("one", "two", "three"):
            await begin(name)
        bucket = Scheduler(client, "observer").election._bucket
        async with asyncio.timeout(60):
            # The first leader begins where it is: nothing was missed before.
            while await client.schedules.bucket.get(SCHEDULER_PROGRESS_KEY) is None:
                await asyncio.sleep(0.02)
        info = await client.schedules.create("s", "@every 1s", "t", queue="Q", catch_up="all", catch_up_limit=1000)
        await wait_tasks(client, 2)

        async def leader() -> str:
            async with asyncio.timeout(60):
                while (entry := await bucket.get(SCHEDULER_ELECTION)) is None:
                    await asyncio.sleep(0.05)
            return entry.value.decode()

        first = await leader()
        processes[first].signal(signal.SIGKILL)
        await wait_more(client, 3)
        await begin(first)
        second = await leader()
        processes[second].signal(signal.SIGSTOP)
        await wait_more(client, 3)
        processes[second].signal(signal.SIGCONT)
        await wait_more(client, 2)
        server.kill()
        await server.start()
        await wait_more(client, 3)
        await bucket.delete(SCHEDULER_ELECTION)
        await wait_more(client, 3)
        third = await leader()
        processes[third].signal(signal.SIGTERM)
        assert await processes[third].ended() == 0
        await wait_more(client, 3)
        for name, process in processes.items():
            if name != third:
                process.signal(signal.SIGTERM)
        for process in processes.values():
            await process.ended()
    tasks = await tasks_of(client)
    start = parse_timestamp(info.schedule.created_at)
    ticks = {tick_id("s", start + n * SECOND_NS): n for n in range(1, 2000)}
    numbers = sorted(ticks[task_id] for task_id in tasks)
    assert numbers == list(range(1, len(numbers) + 1))
    assert (await client.queue_info("Q")).items == len(numbers)


async def wait_more(client: Client, count: int) -> None:
    await wait_tasks(client, len(await tasks_of(client)) + count)


# ---- the command


async def test_the_command_serves_its_health_and_stops_cleanly(server, client):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {"AJ_SCHEDULER_NAME": "one", "AJ_MONITOR": str(port), "NATS_URL": server.url}
    async with program("ajobs.scheduler.main", "--log-format", "json", **environment) as scheduler:
        await scheduler.wait_log("campaigning as one")
        await scheduler.wait_log("leading:")
        status, body = await asyncio.to_thread(get, f"http://127.0.0.1:{port}/readyz")
        assert status == 200, body
        _, metrics = await asyncio.to_thread(get, f"http://127.0.0.1:{port}/metrics")
        assert 'choria_asyncjobs_election_leader{election="task_scheduler",identity="one"} 1.0' in metrics
        assert "choria_asyncjobs_task_scheduler_paused 0.0" in metrics
        scheduler.signal(signal.SIGTERM)
        assert await scheduler.ended() == 0
    assert await Scheduler(client, "observer").election._bucket.get(SCHEDULER_ELECTION) is None


def get(url: str) -> tuple[int, str]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.status, answer.read().decode()


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["--server", "nats://127.0.0.1:1"], 1, "cannot connect"),
        (["--server", "http://x"], 2, "nats://"),
        (["--signing-seed-file", "missing"], 2, "missing"),
        (["--log-level", "loud"], 2, "log level"),
    ],
)
async def test_a_wrong_option_is_one_clear_line(arguments, status, text):
    async with program("ajobs.scheduler.main", *arguments) as scheduler:
        assert await scheduler.ended() == status
    assert text in scheduler.log[-1]
