"""``ajc queues``, ``info`` and ``workers``."""

from __future__ import annotations

import asyncio

import pytest

from ajobs.client import Queue
from ajobs.protocol.durations import as_ns
from ajobs.protocol.errors import QueueNotFoundError
from ajobs.testing.processes import worker_process
from services.admin.tests.integration.ajc import Ajc


@pytest.fixture
def ajc(server) -> Ajc:
    return Ajc(server.url)


async def test_the_first_commands_on_an_empty_server_find_and_create_nothing(ajc):
    for words, text in (
        ("queue list", "No queues"),
        ("schedule list", "No schedules"),
        ("schedule next", "No ticks"),
        ("worker list", "No worker"),
    ):
        assert text in (await ajc(*words.split())).line
    ran = await ajc("task", "list")
    assert ran.status == 1
    assert "ajc task initialize" in ran.complaint
    assert (await ajc("schedule", "view", "x")).complaint == "ajc: schedule x does not exist: check the name"


async def test_info_creates_the_stores_and_shows_everything(ajc, server):
    ran = await ajc("info", "-R", "1", "--memory", "--retention", "2h")
    assert ran.status == 0
    assert "Tasks: 0" in ran.out
    assert "0 B in memory" in ran.out
    assert "2h after the last change" in ran.out
    assert "none: start a scheduler with ajobs-scheduler" in ran.out
    assert "No queues" in ran.out

    await ajc("queue", "new", "EMAIL")
    found = (await ajc("info", "--json")).json
    assert found["store"]["memory"] is True
    assert found["store"]["retention_ns"] == 2 * 3600 * 10**9
    assert [queue["name"] for queue in found["queues"]] == ["EMAIL"]
    assert found["schedules"] == 0
    assert found["leaders"] == {}


async def test_a_queue_is_created_with_all_settings_and_shown(ajc, client):
    ran = await ajc(
        "queue", "new", "EMAIL", "--age", "1h", "--entries", "5", "--tries", "3", "--run-time", "90s",
        "--concurrent", "7", "--memory", "--discard-old",
    )  # fmt: skip
    assert ran.status == 0
    assert ran.out.startswith("Queue EMAIL\n")
    assert "Max run time: 1m30s" in ran.out
    info = await client.queue_info("EMAIL")
    assert info.memory
    assert info.queue == Queue(
        name="EMAIL", max_age="1h", max_entries=5, max_tries=3, max_run_time=90, max_concurrent=7,
        discard_old=True,
    )  # fmt: skip

    again = await ajc("queue", "new", "EMAIL")
    assert again.status == 1
    assert again.complaint == "ajc: queue EMAIL already exists: join it, or configure it"


async def test_a_queue_has_the_originals_defaults(ajc, client):
    found = (await ajc("queue", "new", "EMAIL", "--json")).json
    assert (found["max_age"], found["max_entries"], found["max_tries"]) == (0, 0, -1)
    assert (found["max_runtime"], found["max_concurrent"], found["replicas"]) == (3600 * 10**9, 100, 1)
    assert (await client.queue_info("EMAIL")).memory is False


async def test_queues_are_listed_as_a_table_as_json_and_as_csv(ajc, client):
    await client.create_queue(Queue(name="EMAIL", max_entries=1500, max_tries=5))
    await client.enqueue("a", queue="EMAIL")
    table = await ajc("queue", "ls")
    assert table.status == 0
    header, first, second = table.out.splitlines()
    assert header.split()[:4] == ["NAME", "ITEMS", "RUNNING", "SIZE"]
    assert first.split()[:2] == ["EMAIL", "1"]
    assert "1,500" in first
    assert second.split()[:2] == ["Q", "0"]

    assert [(queue["name"], queue["items"]) for queue in (await ajc("queue", "ls", "--json")).json["queues"]] == [
        ("EMAIL", 1),
        ("Q", 0),
    ]
    rows = (await ajc("queue", "ls", "--csv")).csv
    assert (rows[0]["name"], rows[0]["max_items"], rows[0]["max_tries"]) == ("EMAIL", "1500", "5")
    assert rows[1]["run_time"] == str(60 * 10**9)


async def test_a_queue_is_shown(ajc, client):
    await client.enqueue("a")
    ran = await ajc("queue", "info", "Q")
    assert "Items: 1 (0 in progress, 1 waiting)" in ran.out
    assert "First item: 20" in ran.out
    assert (await ajc("queue", "info", "Q", "--json")).json["items"] == 1
    missing = await ajc("queue", "info", "NOPE")
    assert missing.status == 1
    assert missing.complaint == "ajc: queue NOPE does not exist: create it, or check the name"


async def test_configure_changes_only_the_given_settings_of_a_queue(ajc, client):
    before = (await client.queue_info("Q")).queue
    unchanged = "--age -1s --entries -1 --tries -2 --run-time -1s --concurrent -2 --replicas -1"
    assert (await ajc("queue", "configure", "Q", *unchanged.split())).status == 0
    assert (await client.queue_info("Q")).queue == before

    changed = (await ajc("queue", "configure", "Q", "--tries", "4", "--age", "1d", "--json")).json
    assert (changed["max_tries"], changed["max_age"]) == (4, 24 * 3600 * 10**9)
    assert changed["max_runtime"] == as_ns(before.max_run_time)
    refused = await ajc("queue", "configure", "Q", "--entries", "-5")
    assert refused.status == 2
    assert "invalid max_entries -5" in refused.complaint


async def test_a_queue_is_paused_and_resumed(ajc, client):
    ran = await ajc("queue", "pause", "Q", "--for", "1h")
    assert "Paused until" in ran.out
    assert (await client.queue_info("Q")).paused_until is not None
    assert "PAUSED UNTIL" in (await ajc("queue", "ls")).out
    assert (await ajc("queue", "resume", "Q")).line == "resumed queue Q"
    assert (await ajc("queue", "pause", "Q", "--json")).json["paused_until"].startswith("21")
    assert (await ajc("queue", "pause", "Q", "--for", "0s")).status == 2


async def test_a_queue_is_purged_and_deleted(ajc, client):
    await client.enqueue("a")
    refused = await ajc("queue", "purge", "Q")
    assert refused.status == 2
    assert (
        refused.complaint == "ajc: Remove 1 item from queue Q? Their tasks stay stored but will not run. "
        "Cannot ask without a terminal: rerun with --force"
    )
    assert (await client.queue_info("Q")).items == 1
    assert (await ajc("queue", "purge", "Q", "-f")).line == "removed 1 item from queue Q"
    assert (await client.queue_info("Q")).items == 0

    assert (await ajc("queue", "delete", "Q")).status == 2
    assert (await ajc("queue", "rm", "Q", "--force")).line == "deleted queue Q"
    with pytest.raises(QueueNotFoundError):
        await client.queue_info("Q")
    gone = await asyncio.gather(
        *(ajc("queue", name, "Q") for name in ("delete", "purge", "configure", "pause", "resume"))
    )
    assert {ran.complaint for ran in gone} == {"ajc: queue Q does not exist: create it, or check the name"}


async def test_workers_are_listed(ajc, client, server):
    await client.create_queue(Queue(name="WORK"))
    arguments = ("ajobs.testing.handlers:router", "--queue", "WORK", "--concurrency", "3", "--name", "w1")
    async with worker_process(*arguments, NATS_URL=server.url) as worker:
        await worker.wait_log("worker ready")
        (found,) = (await ajc("worker", "list", "--json")).json["workers"]
        assert (found["name"], found["concurrency"]) == ("w1", 3)
        table = (await ajc("worker", "ls")).out.splitlines()
        assert table[0].split()[:3] == ["NAME", "HOST", "PID"]
        assert table[1].startswith("w1 ")
        (row,) = (await ajc("worker", "ls", "--csv")).csv
        assert (row["name"], row["slots"]) == ("w1", "3")
