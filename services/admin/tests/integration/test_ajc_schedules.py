"""``ajc schedules``, and ``ajc tasks cron``."""

from __future__ import annotations

import asyncio

import pytest

from ajobs.protocol.durations import HOUR_NS, MINUTE_NS, SECOND_NS
from ajobs.protocol.errors import ScheduleNotFoundError
from ajobs.protocol.schedule import CatchUp
from ajobs.protocol.timestamps import parse_timestamp
from ajobs.testing.processes import program
from services.admin.tests.integration.ajc import Ajc


@pytest.fixture
def ajc(server) -> Ajc:
    return Ajc(server.url)


async def test_a_schedule_is_created_with_all_options_on_an_empty_server(server):
    ran = await Ajc(server.url)(
        "task", "cron", "add", "nightly", "CRON_TZ=Europe/Berlin 30 2 * * *", "report", "--payload", '{"a":1}', "-q",
        "EMAIL", "--deadline", "1h", "--tries", "3", "--catch-up", "all", "--catch-up-limit", "7", "--jitter", "30s",
    )  # fmt: skip
    assert ran.status == 0
    assert ran.out.startswith("Schedule nightly\n")
    assert "Missed ticks: one task for each, at most 7" in ran.out
    missing = "queue EMAIL does not exist, so tasks of this schedule fail"
    assert ran.complaint == f"ajc: {missing}: create it with ajc queue new EMAIL"
    found = (await Ajc(server.url)("schedule", "view", "nightly", "--json")).json
    assert {name: found[name] for name in ("schedule", "queue", "task_type", "payload", "deadline", "max_tries")} == {
        "schedule": "CRON_TZ=Europe/Berlin 30 2 * * *",
        "queue": "EMAIL",
        "task_type": "report",
        "payload": "eyJhIjoxfQ==",
        "deadline": HOUR_NS,
        "max_tries": 3,
    }
    assert (found["catch_up"], found["catch_up_limit"], found["jitter"]) == ("all", 7, 30 * SECOND_NS)
    assert len(found["next_runs"]) == 5


async def test_words_need_no_at_sign(ajc, client):
    plain = ("yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly", "every 10m")
    words = (*plain, "@hourly", "TZ=UTC daily")
    ran = await asyncio.gather(
        *(ajc("task", "c", "add", f"s{n}", text, "t", "-q", "Q", "--json") for n, text in enumerate(words))
    )
    assert [each.json["schedule"] for each in ran] == [
        *(f"@{text}" for text in plain), "@hourly", "TZ=UTC @daily"
    ]  # fmt: skip


async def test_invalid_schedule_commands_are_refused(ajc, client):
    await client.schedules.create("there", "@daily", "t")
    cases = [
        (["add", "a", "* * *", "t"], 2, "has 3 fields and needs 5"),
        (["add", "a b", "@daily", "t"], 2, "invalid schedule name 'a b'"),
        (["add", "a", "@daily", "t", "--deadline", "5s"], 2, "use 30s or more"),
        (["add", "there", "@daily", "t"], 1, "schedule there already exists"),
        (["view", "nope"], 1, "schedule nope does not exist"),
        (["delete", "nope", "-f"], 1, "schedule nope does not exist"),
        (["delete", "there"], 2, "Delete schedule there? Cannot ask without a terminal: rerun with --force"),
        (["update", "there"], 2, "nothing to change"),
        (["update", "nope", "--tries", "1"], 1, "schedule nope does not exist"),
        (["pause", "nope"], 1, "schedule nope does not exist"),
        (["next", "-n", "0"], 2, "invalid --count 0"),
    ]
    ran = await asyncio.gather(*(ajc("schedule", *words) for words, _, _ in cases))
    for each, (words, status, text) in zip(ran, cases, strict=True):
        assert each.status == status, words
        assert text in each.complaint, words
    assert [each.name for each in await client.schedules.all()] == ["there"]


async def test_schedules_are_listed(ajc, client):
    await client.schedules.create("nightly", "@daily", "t", queue="Q")
    await client.schedules.create("stopped", "@hourly", "u", queue="Q", paused=True)
    table, names, document, rows = await asyncio.gather(
        ajc("task", "cron", "ls"), ajc("task", "cron", "ls", "--names"), ajc("schedule", "ls", "--json"),
        ajc("schedule", "ls", "--csv"),
    )  # fmt: skip
    header, first, second = table.out.splitlines()
    assert header.split() == ["NAME", "SCHEDULE", "QUEUE", "TYPE", "STATE", "NEXT", "TICK"]
    assert first.split()[:5] == ["nightly", "@daily", "Q", "t", "active"]
    assert second.split() == ["stopped", "@hourly", "Q", "u", "paused"]
    assert names.out == "nightly\nstopped\n"
    assert [each["paused"] for each in document.json["schedules"]] == [False, True]
    assert [(row["name"], row["state"]) for row in rows.csv] == [("nightly", "active"), ("stopped", "paused")]


async def test_a_schedule_is_changed_paused_resumed_and_deleted(ajc, client):
    await client.schedules.create("s", "@daily", "t", queue="Q", payload=1)
    changed = "--schedule hourly --type u --deadline 2h --tries 4 --catch-up none --catch-up-limit 5 --jitter 1m"
    assert (await ajc("schedule", "update", "s", *changed.split(), "--payload", "hi")).status == 0
    info = await client.schedules.load("s")
    schedule, options = info.schedule, info.options
    assert (schedule.schedule, schedule.task_type, schedule.payload) == ("@hourly", "u", b'"hi"')
    assert (schedule.deadline, schedule.max_tries, schedule.queue) == (2 * HOUR_NS, 4, "Q")
    assert (options.catch_up, options.catch_up_limit, options.jitter) == (CatchUp.NONE, 5, MINUTE_NS)

    assert (await ajc("schedule", "update", "s", "--deadline", "0", "--json")).json.get("deadline", 0) == 0
    assert "State: paused" in (await ajc("schedule", "pause", "s")).out
    assert (await client.schedules.load("s")).options.paused
    assert (await ajc("schedule", "resume", "s", "--json")).json["paused"] is False
    assert (await ajc("schedule", "rm", "s", "-f")).line == "deleted schedule s"
    with pytest.raises(ScheduleNotFoundError):
        await client.schedules.load("s")


async def test_the_next_runs_of_all_schedules_come_in_order(ajc, client):
    await client.schedules.create("often", "*/10 * * * *", "t", queue="Q")
    await client.schedules.create("seldom", "0 * * * *", "u", queue="Q")
    document, table, one, rows = await asyncio.gather(
        ajc("schedule", "next", "--json"), ajc("schedule", "next", "-n", "3"),
        ajc("schedule", "next", "seldom", "--count", "2", "--json"), ajc("schedule", "next", "--csv"),
    )  # fmt: skip
    runs = document.json["runs"]
    times = [parse_timestamp(run["time"]) for run in runs]
    assert len(times) == 10
    assert times == sorted(times)
    assert {run["schedule"] for run in runs} == {"often", "seldom"}
    assert table.out.splitlines()[0].split() == ["TIME", "NAME", "QUEUE", "TYPE"]
    assert len(table.out.splitlines()) == 4
    first, second = (parse_timestamp(run["time"]) for run in one.json["runs"])
    assert second - first == HOUR_NS
    assert len(rows.csv) == 10


async def test_a_schedule_is_run_now(ajc, client):
    await client.schedules.create("s", "@daily", "t", queue="Q", payload={"a": 1})
    ran, document = await asyncio.gather(ajc("schedule", "run", "s"), ajc("task", "cron", "run", "s", "--json"))
    task = await client.load(ran.line)
    assert (task.type, task.payload, task.queue) == ("t", b'{"a":1}', "Q")
    assert document.json["type"] == "t"
    assert (await client.queue_info("Q")).items == 2


async def test_the_scheduler_runs_under_its_name_and_stops_on_a_signal(server, client):
    arguments = ("task", "cron", "scheduler", "--monitor", "0")
    environment = {"AJC_SCHEDULER_NAME": "one", "NATS_URL": server.url}
    async with program("ajobs.admin.cli.main", *arguments, **environment) as scheduler:
        await scheduler.wait_log("metrics and health")
        await scheduler.wait_log("campaigning as one")
        await scheduler.wait_log("elected")
        assert await client.leaders() == {"task_scheduler": "one"}
        scheduler.signal(15)
        assert await scheduler.ended() == 0


async def test_schedules_are_signed_by_name_or_all_that_are_not(server, client, tmp_path):
    seed = tmp_path / "seed"
    seed.write_text("00" * 32)
    seed.chmod(0o600)
    signing = Ajc(server.url)
    for name in ("a", "b", "c"):
        await client.schedules.create(name, "@daily", "t", queue="Q")
    listed = (await signing("schedule", "list", "--sign", str(seed))).out
    assert listed.count("broken") == 3
    shown = (await signing("schedule", "view", "a", "--sign", str(seed))).out
    assert "not signed: check the schedule, then run 'ajc schedule sign a'" in shown
    assert (await signing("schedule", "sign", "a", "--force", "--sign", str(seed))).out.endswith("signed 1 schedule\n")
    assert (await client.schedules.load("a")).options.signatures
    ran = await signing("schedule", "sign", "--all", "--force", "--sign", str(seed))
    assert "Schedule b" in ran.out
    assert "Schedule a" not in ran.out
    assert ran.out.endswith("signed 2 schedules\n")
    assert "broken" not in (await signing("schedule", "list", "--sign", str(seed))).out
    assert (await signing("schedule", "sign", "--all", "--sign", str(seed))).out == "signed 0 schedules\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [((), "or --all"), (("a", "--all"), "or --all"), (("a",), "needs a seed")],
)
async def test_signing_needs_a_name_and_a_seed(ajc, client, arguments, text):
    ran = await ajc("schedule", "sign", *arguments)
    assert ran.status == 2
    assert text in ran.complaint
