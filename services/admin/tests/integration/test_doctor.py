"""`ajc doctor`: each thing that is known to go wrong is brought about on a real server, and found."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest

from ajobs.admin.doctor.examination import examine
from ajobs.client import Client, Queue
from ajobs.client.storage.workers import workers_bucket
from ajobs.protocol.codec import encode
from ajobs.protocol.decisions import start
from ajobs.protocol.durations import HOUR_NS, MINUTE_NS, SECOND_NS
from ajobs.protocol.errors import UnavailableError
from ajobs.protocol.presence import WorkerPresence, WorkerQueue
from ajobs.protocol.signing import Signer
from ajobs.protocol.subjects import TASKS_STREAM, item_subject, queue_stream, schedule_key
from ajobs.protocol.timestamps import format_timestamp
from ajobs.testing.clusters import cluster
from ajobs.testing.nats_server import NatsServer
from ajobs.testing.processes import program, worker_process

SEED = bytes(range(32))


async def found(server, *, grace_ns=0, seed_files=(), **settings):
    """Return the findings that are not ok, as (level, check, text)."""
    async with Client.connect(server.url, no_storage_init=True, **settings) as client:
        findings = await examine(client, grace_ns=grace_ns, seed_files=seed_files)
    assert all(bool(finding.remedy) == (finding.level != "ok") for finding in findings)
    return [(f.level.value, f.check, f.text) for f in findings if f.level != "ok"]


# ---- correct settings


async def test_a_healthy_system_has_nothing_to_complain_about(server, client):
    async with AsyncExitStack() as stack:
        worker = worker_process("ajobs.testing.handlers:router", "--queue", "Q", "--server", server.url)
        scheduler = program("ajobs.scheduler.main", "--name", "one", "--server", server.url)
        for process, line in ((worker, "worker ready"), (scheduler, "leading")):
            await (await stack.enter_async_context(process)).wait_log(line)
        await client.schedules.create("hourly", "@hourly", "echo", queue="Q")
        for n in range(5):
            await client.result((await client.enqueue("echo", n)).id, timeout=60)
        async with asyncio.timeout(60):
            while not await client.leaders() or not await client.workers():
                await asyncio.sleep(0.05)
        assert await found(server) == []


async def test_streams_created_by_go_have_no_findings(server):
    """Its streams, bucket and consumer, as it makes them: with fewer settings than ours."""
    stream = {
        "max_consumers": -1,
        "max_msgs": -1,
        "max_bytes": -1,
        "max_msg_size": -1,
        "num_replicas": 1,
        "storage": "file",
    }
    tasks = {
        "name": TASKS_STREAM,
        "subjects": ["CHORIA_AJ.T.*"],
        "retention": "limits",
        "discard": "old",
        "max_msgs_per_subject": 1,
    }
    queue = {
        "name": queue_stream("GO"),
        "subjects": ["CHORIA_AJ.Q.GO.>"],
        "retention": "workqueue",
        "discard": "new",
        "max_msgs_per_subject": 1,
    }
    consumer = {
        "durable_name": "WORKERS", "ack_policy": "explicit", "ack_wait": HOUR_NS, "max_ack_pending": 100,
        "max_deliver": -1, "deliver_policy": "all",
    }  # fmt: skip
    buckets = [
        {
            "name": f"KV_CHORIA_AJ_{name}", "subjects": [f"$KV.CHORIA_AJ_{name}.>"], "discard": "new", "max_age": age,
            "max_msgs_per_subject": 1, "allow_rollup_hdrs": True, "deny_delete": True, "allow_direct": True,
            "duplicate_window": age or 2 * MINUTE_NS,
        }
        for name, age in (("CONFIGURATION", 0), ("ELECTIONS", 10 * SECOND_NS))
    ]  # fmt: skip
    async with Client.connect(server.url, no_storage_init=True) as client:
        js = client.storage.jetstream
        for config in (tasks, queue, *buckets):
            await js.call(f"STREAM.CREATE.{config['name']}", stream | config)
        body = {"stream_name": queue["name"], "config": consumer}
        await js.call(f"CONSUMER.DURABLE.CREATE.{queue['name']}.WORKERS", body)
    assert await found(server) == []


async def test_doctor_creates_nothing(server):
    problems = await found(server)
    assert ("problem", "task store", "the task store (stream CHORIA_AJ_TASKS) does not exist") in problems
    assert sum(check == "buckets" for _, check, _ in problems) == 2
    async with Client.connect(server.url, no_storage_init=True) as client:
        assert (await client.storage.jetstream.ask("STREAM.NAMES"))["total"] == 0


# ---- settings


MARKERS = {"allow_msg_ttl": True, "subject_delete_marker_ttl": SECOND_NS, "allow_rollup_hdrs": True}


@pytest.mark.parametrize(
    ("stream", "changes", "check", "text"),
    [
        (TASKS_STREAM, {"max_msgs_per_subject": 5}, "task store", "max_msgs_per_subject is 5 instead of 1"),
        (TASKS_STREAM, {"max_msgs": 1000}, "task store", "the oldest tasks are dropped"),
        (TASKS_STREAM, MARKERS, "task store", "clients in Go fail"),
        (TASKS_STREAM, {"max_age": MINUTE_NS, "duplicate_window": MINUTE_NS}, "task store", "can be deleted"),
        ("KV_CHORIA_AJ_CONFIGURATION", {"max_age": HOUR_NS}, "buckets", "schedules are deleted after 1h"),
        ("KV_CHORIA_AJ_ELECTIONS", {"max_age": 0}, "buckets", "a dead leader is never replaced"),
        (queue_stream("Q"), {"max_bytes": 10_000}, "queues", "max_bytes is 10000 instead of -1"),
        (queue_stream("Q"), {"max_msgs_per_subject": -1}, "queues", "a retried task has two items"),
        (queue_stream("Q"), {"duplicate_window": SECOND_NS}, "queues", "detects duplicates for only 1s"),
        (queue_stream("Q"), {"subjects": ["CHORIA_AJ.Q.Q.*"]}, "queues", "instead of ['CHORIA_AJ.Q.Q.>']"),
    ],
)  # fmt: skip
async def test_an_incorrect_setting_is_reported(server, client, stream, changes, check, text):
    js = client.storage.jetstream
    config = (await js.ask(f"STREAM.INFO.{stream}"))["config"]
    await js.call(f"STREAM.UPDATE.{stream}", config | changes)
    ((_, named, said),) = await found(server)
    assert named == check
    assert text in said


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"max_run_time": 1}, "redelivers a task after 1s"),
        ({"max_tries": 2}, "delivers an item 2 times, but tasks have 10 tries"),
    ],
)
async def test_a_queue_with_unsuitable_settings_is_reported(server, client, settings, text):
    await client.configure_queue("Q", **settings)
    ((level, check, said),) = await found(server)
    assert (level, check) == ("warning", "consumers")
    assert text in said


async def test_a_queue_without_work_queue_retention_is_reported_with_its_consumer(server, client):
    js = client.storage.jetstream
    await client.delete_queue("Q")
    await js.call(f"STREAM.CREATE.{queue_stream('Q')}", {"name": queue_stream("Q"), "subjects": ["CHORIA_AJ.Q.Q.>"]})
    assert ("problem", "queues", "queue Q has no consumer, so nothing is delivered") in await found(server)
    config = {"durable_name": "WORKERS", "ack_policy": "none", "deliver_policy": "new", "headers_only": True}
    body = {"stream_name": queue_stream("Q"), "config": config}
    await js.call(f"CONSUMER.DURABLE.CREATE.{queue_stream('Q')}.WORKERS", body)
    problems = await found(server)
    assert {check for _, check, _ in problems} == {"queues", "consumers"}
    text = "\n".join(said for _, _, said in problems)
    for field in ("retention", "max_msgs_per_subject", "ack_policy", "deliver_policy", "headers_only"):
        assert f"{field} is " in text


@pytest.mark.parametrize(
    ("items", "discard_old", "level", "text"),
    [
        (9, False, "warning", "9 of 10 items"),
        (10, False, "problem", "refused"),
        (12, True, "problem", "drops the oldest"),
    ],
)
async def test_a_queue_that_is_full_is_named(server, client, items, discard_old, level, text):
    await client.create_queue(Queue(name="SMALL", max_entries=10, discard_old=discard_old))
    for _ in range(items):
        await client.enqueue("t", queue="SMALL")
    said = [f for f in await found(server, grace_ns=HOUR_NS) if f[1] == "queues"]
    assert [each[0] for each in said] == [level]
    assert text in said[0][2]


async def test_a_store_without_replicas_in_a_cluster_is_reported():
    async with cluster() as nodes:
        server = nodes["n0"]
        async with Client.connect(server.url, queue=Queue(name="Q")):
            pass
        ((level, check, text),) = await found(server)
        assert (level, check) == ("warning", "replicas")
        assert text.startswith("the cluster has 3 servers, but only one of them keeps CHORIA_AJ_TASKS")


# ---- work


async def remove_item(client, task_id):
    body = {"filter": item_subject("Q", task_id)}
    await client.storage.jetstream.call(f"STREAM.PURGE.{queue_stream('Q')}", body)


async def test_stuck_tasks_and_items_are_reported(server, client):
    await client.create_queue(Queue(name="OTHER"))
    without_item, deleted = await client.enqueue("t"), await client.enqueue("t")
    without_queue = await client.enqueue("t", queue="OTHER")
    await remove_item(client, without_item.id)
    await client.delete(deleted.id)
    await client.delete_queue("OTHER")
    said = sorted(text for level, check, text in await found(server) if (level, check) == ("problem", "stuck"))
    assert said == [
        f"queue OTHER: 1 task whose queue does not exist: {without_queue.id}",
        f"queue Q: 1 item whose task is gone: {deleted.id}",
        f"queue Q: 1 task whose item is gone from the queue: {without_item.id}",
    ]
    # A task that changed just now may still get its item.
    assert sum(check == "stuck" for _, check, _ in await found(server, grace_ns=HOUR_NS)) == 1


async def test_an_item_that_was_delivered_as_often_as_it_may_be_is_named(server, client):
    await client.configure_queue("Q", max_tries=1)
    task = await client.enqueue("t")
    nats = client.storage.connection.nats
    subject = client.storage.jetstream.subject(f"CONSUMER.MSG.NEXT.{queue_stream('Q')}.WORKERS")
    item = await nats.request(subject, b'{"batch":1}', timeout=10, old_style=True)
    await nats.publish(item.reply, b"-NAK")
    # The server notices the next pull.
    async with asyncio.timeout(30):
        while (await client.queue_info()).in_progress:
            await nats.request(subject, b'{"batch":1,"no_wait":true}', timeout=10, old_style=True)
    said = [text for _, check, text in await found(server) if check == "stuck"]
    assert said == [f"queue Q: 1 item that the server will not deliver again: {task.id}"]


async def test_a_task_that_is_active_without_a_worker_is_reported(server, client):
    task = await client.enqueue("t")
    stored = await client.storage.tasks.load(task.id)
    await client.storage.tasks.save(start(stored.task, time.time_ns() - 2 * HOUR_NS), stored.revision)
    said = [text for _, check, text in await found(server) if check == "overdue"]
    assert said == [f"queue Q: 1 task has been active for more than 1m, but no worker is running them: {task.id}"]
    assert not [check for _, check, _ in await found(server, grace_ns=3 * HOUR_NS) if check == "overdue"]


async def test_a_queue_without_worker_and_a_paused_queue_are_reported(server, client):
    await client.enqueue("t")
    ((level, check, text),) = await found(server)
    assert (level, check) == ("problem", "workers")
    assert text.startswith("queue Q has 1 item, the oldest ")
    await client.pause_queue("Q")
    assert await found(server) == [("warning", "pauses", "queue Q is paused until resumed")]
    await client.pause_queue("Q", duration=3600)
    ((level, check, text),) = await found(server)
    assert (level, check) == ("warning", "pauses")
    assert re.fullmatch(r"queue Q is paused until \d{4}-\d\d-\d\d .*", text)


def presence(worker_id, *, version="1.0.0", off_ns=0, slots=10):
    now = format_timestamp(time.time_ns() + off_ns)
    return WorkerPresence(
        id=worker_id, name=f"name-{worker_id}", host="host-1", pid=1, version=version, state="running", started=now,
        updated=now, concurrency=slots, queues=(WorkerQueue(name="Q", concurrency=slots),), handlers=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("workers", "level", "check", "text"),
    [
        ([{}, {"version": "2.0.0"}], "warning", "versions", "1.0.0: name-0; 2.0.0: name-1"),
        ([{"off_ns": 5 * SECOND_NS}], "warning", "worker clocks", "name-0 on host-1 is 4.9"),
        ([{"off_ns": -HOUR_NS}], "problem", "worker clocks", "1h behind the server's"),
        (
            [{"slots": 60}, {"slots": 61}],
            "warning",
            "consumers",
            "lets 100 tasks run concurrently, but its workers have 121 slots",
        ),
    ],
)
async def test_workers_that_do_not_fit_together_are_reported(server, client, workers, level, check, text):
    bucket = await workers_bucket(client.storage, client.options, create=True)
    for number, worker in enumerate(workers):
        await bucket.put(str(number), encode(presence(str(number), **worker)))
    ((said_level, said_check, said),) = await found(server)
    assert (said_level, said_check) == (level, check)
    assert text in said


# ---- schedules


async def test_schedules_that_create_no_tasks_are_reported(server, client):
    await client.schedules.create("fine", "@hourly", "t", queue="Q")
    await client.schedules.create("lost", "@hourly", "t", queue="NOWHERE", deadline=timedelta(minutes=1))
    await client.schedules.create("paused", "@hourly", "t", queue="Q", paused=True)
    await client.schedules.bucket.put(schedule_key("broken"), b'{"name":"broken","schedule":"61 * * * *"}')
    problems = await found(server)
    assert {level for level, _, _ in problems} == {"problem"}
    said = sorted(text for _, _, text in problems)
    assert said[0] == "no scheduler leads, so 2 schedules create no tasks: fine, lost"
    assert said[1].startswith("schedule broken is broken: ")
    assert said[2] == "schedule lost is for queue NOWHERE, which does not exist"


# ---- signing


@pytest.fixture
def open_folder():
    """Yield a folder that other users may enter, as pytest's own cannot be."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


async def test_signatures_that_a_worker_would_refuse_are_reported(server, client, open_folder):
    unsigned = await client.enqueue("t")
    async with (
        Client.connect(server.url, queue="Q", signing_key=SEED) as right,
        Client.connect(server.url, queue="Q", signing_key=bytes(32)) as wrong,
    ):
        await right.enqueue("t")
        forged = await wrong.enqueue("t")
    file = open_folder / "seed"
    file.write_text(SEED.hex())
    file.chmod(0o644)
    public_key = Signer(SEED).public_key_hex
    said = [f for f in await found(server, grace_ns=HOUR_NS, verification_key=public_key) if f[1] != "workers"]
    assert said == [
        ("problem", "signatures", f"1 task with an invalid signature: {forged.id}"),
        ("problem", "signatures", f"1 task without a signature: {unsigned.id}"),
    ]
    said = await found(
        server, grace_ns=HOUR_NS, verification_key=public_key, signing_key=bytes(32), seed_files=[str(file)]
    )
    assert {check for _, check, _ in said} >= {"key files", "key pair", "signatures"}
    assert not [f for f in await found(server, grace_ns=HOUR_NS) if f[1] == "signatures"]
    assert SEED.hex() not in str(said)


# ---- the server


async def test_an_account_that_is_nearly_full_is_reported():
    config = """
    accounts { JOBS { jetstream { max_file: 1M, max_mem: 1M }, users: [ { user: u, password: p } ] } }
    """
    user = {"user": "u", "password": "p"}
    async with (
        NatsServer.run(config=config) as server,
        Client.connect(server.url, queue=Queue(name="Q"), **user) as client,
    ):
        with suppress(UnavailableError):
            for _ in range(100):
                await client.enqueue("t", "x" * 20_000)
        said = [f for f in await found(server, grace_ns=HOUR_NS, **user) if f[1] == "limits"]
        assert [level for level, _, _ in said] == ["problem"]
        assert "of 976 KiB storage used" in said[0][2]


# ---- the command


async def doctor(url, *arguments):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ajobs.admin.cli.main", "doctor", *arguments,
        env=os.environ | {"NATS_URL": url}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


async def test_the_command_prints_remedies_and_its_status_reports_problems(server, client, open_folder):
    status, output, errors = await doctor(server.url)
    assert (status, errors) == (0, "")
    assert output.endswith("\nno problems, no warnings\n")
    await client.enqueue("t")
    await client.configure_queue("Q", max_tries=2)
    status, output, _ = await doctor(server.url)
    assert status == 1
    assert "  PROBLEM workers: queue Q has 1 item" in output
    assert "          → start one: 'ajobs-worker MODULE:ROUTER --queue Q'" in output
    assert output.endswith("\n1 problem, 1 warning\n")
    seed = open_folder / "seed"
    seed.write_text(SEED.hex())
    seed.chmod(0o640)
    status, output, _ = await doctor(server.url, "--json", "--sign", str(seed))
    report = json.loads(output)
    assert status == 1
    assert not report["ok"]
    named = {f["check"]: f for f in report["findings"] if f["level"] != "ok"}
    assert named["key files"]["remedy"] == f"'chmod 600 {seed}'"
    assert named["signatures"]["text"].startswith("1 task without a signature")
    assert SEED.hex() not in output


async def test_an_unusable_server_is_a_problem(server):
    await server.stop()
    status, output, errors = await doctor(server.url, "--json")
    report = json.loads(output)
    assert (status, errors) == (1, "")
    (finding,) = report["findings"]
    assert (finding["check"], finding["level"]) == ("reachable", "problem")
    async with NatsServer.run(jetstream=False) as without:
        status, output, _ = await doctor(without.url)
        assert status == 1
        assert "PROBLEM jetstream: " in output
        assert "start nats-server with -js" in output


def test_findings_are_json():
    from ajobs.admin.doctor.findings import Finding, Level

    finding = Finding(group="g", check="c", level=Level.OK, text="t")
    assert msgspec.json.decode(msgspec.json.encode(finding)) == {
        "group": "g", "check": "c", "level": "ok", "text": "t", "remedy": "",
    }  # fmt: skip
