"""Running workers: configuration files, several queues, several processes, reloading, health, presence and logs."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import urllib.error
import urllib.request

import pytest

from ajobs.client import Client, Queue, TaskState
from ajobs.client.observability.exposition import Health, serve_metrics
from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.subjects import WORKERS_BUCKET
from ajobs.testing.processes import wait_gone, worker_process
from ajobs.testing.workers import wait_state, working
from ajobs.worker import Router, Share, Worker, WorkerOptions
from ajobs.worker.process.presence import Presence
from ajobs.worker.process.serve import logger

HANDLERS = "ajobs.testing.handlers:router"


# ---- a configuration file


@pytest.fixture
def configured(tmp_path):
    (tmp_path / "mail.py").write_text(
        "from ajobs.worker import Router\n"
        "def send(to: str) -> str:\n    return f'sent to {to}'\n"
        "router = Router()\n"
        "@router.handler('new')\nasync def new(name: str) -> str:\n    return f'new {name}'\n"
    )
    script = tmp_path / "count.sh"
    script.write_text('#!/bin/sh\nwc -c < "$CHORIA_AJ_TASK"\n')
    script.chmod(0o755)

    def write(text: str) -> str:
        (tmp_path / "asyncjobs.yaml").write_text(text)
        return str(tmp_path / "asyncjobs.yaml")

    return write


TASKS = """
queue: CONFIGURED
name: mailer
retry: 1m
discard: [expired]
tasks:
  - type: email:send
    package: mail:send
  - type: "user:"
    package: mail:router
  - type: count
    command: ./count.sh
  - type: audit
    remote: true
"""


async def test_an_empty_variable_counts_as_unset(server):
    empty = dict.fromkeys(("AJ_SIGNING_SEED_FILE", "AJ_VERIFICATION_KEY", "AJ_MONITOR", "AJ_CONCURRENCY"), "")
    async with worker_process(HANDLERS, AJ_WORK_QUEUE="Q", NATS_URL=server.url, **empty) as worker:
        assert "10 slots" in await worker.wait_log("worker ready")


async def test_a_configuration_file_runs_a_worker_without_code(server, configured, tmp_path):
    path = configured(TASKS)
    async with (
        Client.connect(server.url, queue=Queue(name="CONFIGURED")) as client,
        worker_process("--config", path, "--queue", "CONFIGURED=5", cwd=tmp_path, NATS_URL=server.url) as worker,
    ):
        line = await worker.wait_log("worker ready")
        assert "queue CONFIGURED, 10 slots, task types audit, count, email:send, user:new" in line
        results = [
            await client.result((await client.enqueue(task_type, payload)).id, timeout=30)
            for task_type, payload in (("email:send", "ann"), ("user:new", "bob"), ("count", None))
        ]
        assert results[:2] == ["sent to ann", "new bob"]
        assert int(results[2]) > 100
        (listed,) = await client.workers()
        assert (listed.name, listed.handlers) == ("mailer", ("audit", "count", "email:send", "user:new"))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("tasks: []", "tasks is empty"),
        ("queue: Q", "missing required field `tasks`"),
        ("tasks: [{type: t}]", "task type 't' has no handler"),
        ("tasks: [{type: t, remote: true, command: ./x}]", "has remote and command"),
        ("tasks: [{type: t, packge: x}]", "unknown field `packge`"),
        ("tasks: [{type: t, package: 'mail:missing'}]", "no 'missing'"),
        ("tasks: [{type: t, package: 'mail:__name__'}]", "expected a function or a Router"),
        ("tasks: [{type: t, package: 'github.com/x/y'}]", "no module"),
        ("tasks: [{type: a.b, remote: true}]", "a.b"),
        ("tasks: [{type: t, remote: true}, {type: t, remote: true}]", "has a handler already"),
        ("retry: 9m\ntasks: [{type: t, remote: true}]", "retry policy"),
        ("nats: NOWHERE\ntasks: [{type: t, remote: true}]", "NOWHERE"),
        ("tasks: [", "asyncjobs.yaml"),
    ],
)
async def test_the_error_names_the_fault_in_a_configuration_file(configured, text, error, tmp_path):
    async with worker_process("--config", configured(text), cwd=tmp_path) as worker:
        assert await worker.ended() == 2
    assert error in "".join(worker.log)
    assert len(worker.log) == 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], "no router: pass one as package.module:name"),
        ([HANDLERS, "--config", "missing.yaml"], "missing.yaml"),
        ([HANDLERS, "--queue", "A=0"], "invalid --queue 'A=0'"),
        ([HANDLERS, "--queue", "A", "--weight", "B=2"], "--weight names queues that are not worked on: B"),
        ([HANDLERS, "--queue", "A,A"], "listed more than once"),
        ([HANDLERS, "--processes", "0"], "processes"),
        ([HANDLERS, "--log-level", "loud"], "log level"),
    ],
    ids=lambda value: " ".join(value[1:]) if isinstance(value, list) else None,
)
async def test_an_invalid_option_prints_one_clear_line(server, arguments, error):
    async with worker_process(*arguments, NATS_URL=server.url) as worker:
        assert await worker.ended() == 2
    assert error in worker.log[-1]


# ---- several queues


async def test_a_worker_of_two_queues_keeps_the_limit_of_each(server):
    router = Router()
    running: dict[str, int] = {"A": 0, "B": 0}
    most: dict[str, int] = {"A": 0, "B": 0}

    @router.handler("t")
    async def handle(name: str) -> None:
        running[name] += 1
        most[name] = max(most[name], running[name])
        await asyncio.sleep(0.002)
        running[name] -= 1

    async with Client.connect(server.url, queue="A") as client:
        shares = [Share(await client.ensure_queue(Queue(name=name)), limit) for name, limit in (("A", 2), ("B", None))]
        tasks = [await client.enqueue("t", name, queue=name) for name in ("A", "B") * 40]
        async with working(client, router, queues=shares, concurrency=6):
            await asyncio.gather(*(client.wait(task.id, timeout=60) for task in tasks))
    assert most["A"] <= 2
    assert most["B"] > 2


async def test_a_queue_with_more_weight_is_served_more_often(server):
    router = Router()
    order: list[str] = []
    router.add("t", _noting(order))
    async with Client.connect(server.url, queue="LOW") as client:
        shares = [Share(await client.ensure_queue(Queue(name=name)), weight=w) for name, w in (("LOW", 1), ("HIGH", 4))]
        tasks = [await client.enqueue("t", name, queue=name) for name in ("LOW", "HIGH") * 50]
        async with working(client, router, queues=shares, concurrency=1):
            await asyncio.gather(*(client.wait(task.id, timeout=60) for task in tasks))
    # Only until one queue is empty, and except for the first items, which came before those of the other queue.
    assert order[:50].count("HIGH") > 30


def _noting(order: list[str]):
    async def handle(name: str) -> None:
        await asyncio.sleep(0.002)
        order.append(name)

    return handle


async def test_invalid_shares_are_refused(client):
    router = Router()
    router.add("t", lambda: None)
    with pytest.raises(ConfigurationError, match="1 or more"):
        Share(client.queue, 0)
    with pytest.raises(ConfigurationError, match="more than once: Q"):
        WorkerOptions(queues=[Share(client.queue), Share(client.queue)])


# ---- several processes


def pid_of(line: str) -> int:
    return int(re.search(r"with process ID (\d+)", line)[1])


async def test_processes_are_restarted_and_stopped_together(server):
    arguments = (HANDLERS, "--queue", "Q", "--processes", "2", "--server", server.url)
    async with Client.connect(server.url, queue="Q") as client, worker_process(*arguments) as supervisor:
        first = pid_of(await supervisor.wait_log("process 0 started"))
        pid_of(await supervisor.wait_log("process 1 started"))
        for _ in range(2):
            await supervisor.wait_log("worker ready")
        os.kill(first, signal.SIGKILL)
        await supervisor.wait_log("process 0 ended")
        await supervisor.wait_log("worker ready")
        assert await client.result((await client.enqueue("echo", 5)).id, timeout=30) == 5
        workers = await client.workers()
        assert len({worker.pid for worker in workers} - {first}) == 2
        running = await client.enqueue("slow", 0.3)
        await wait_state(client, running.id, TaskState.ACTIVE)
        supervisor.signal(signal.SIGTERM)
        assert await supervisor.ended() == 0, supervisor.log
        assert await client.result(running.id, timeout=1) == "done"


async def test_processes_end_when_their_supervisor_is_killed(server):
    arguments = (HANDLERS, "--queue", "Q", "--processes", "2", "--server", server.url)
    async with worker_process(*arguments) as supervisor:
        pids = [pid_of(await supervisor.wait_log("with process ID")) for _ in range(2)]
        for _ in pids:
            await supervisor.wait_log("worker ready")
        supervisor.signal(signal.SIGKILL)
        for pid in pids:
            await wait_gone(pid)


async def test_processes_with_invalid_usage_are_not_restarted(server):
    async with worker_process("no.such.module", "--processes", "2", "--server", server.url) as supervisor:
        assert await supervisor.ended() == 2
    assert "no module named" in "".join(supervisor.log)


async def test_watching_survives_broken_code(server, tmp_path):
    module = tmp_path / "watched.py"
    module.write_text("")
    arguments = ("watched:router", "--queue", "Q", "--watch", "--server", server.url)
    async with worker_process(*arguments, cwd=tmp_path) as worker:
        await worker.wait_log("waiting for the code to change")
        module.write_text("def broken(:")
        for _ in range(2):
            await worker.wait_log("ended with status 1")
        module.write_text("from ajobs.worker import Router\nrouter = Router()\nrouter.add('t', lambda: 1)\n")
        await worker.wait_log("worker ready")
        worker.signal(signal.SIGTERM)
        assert await worker.ended() == 0, worker.log


async def test_watching_without_watchfiles_is_refused(server, tmp_path):
    (tmp_path / "watchfiles.py").write_text("raise ImportError('not installed')")
    arguments = (HANDLERS, "--watch", "--server", server.url)
    async with worker_process(*arguments, PYTHONPATH=str(tmp_path)) as worker:
        assert await worker.ended() == 2
    assert "pip install 'ajobs-worker[watch]'" in "".join(worker.log)


async def test_settings_that_an_existing_queue_does_not_have_log_a_warning(server):
    arguments = (HANDLERS, "--queue", "Q", "--max-run-time", "2m", "--server", server.url)
    connecting = Client.connect(server.url, queue=Queue(name="Q", max_run_time="1m"))
    async with connecting, worker_process(*arguments) as worker:
        line = await worker.wait_log("queue Q already exists")
        assert "already exists with max run time 1m0s: ignoring the requested 2m0s" in line


async def test_watching_restarts_when_code_changes(server, tmp_path):
    module = tmp_path / "watched.py"
    code = "from ajobs.worker import Router\nrouter = Router()\nrouter.add('t', lambda: {})\n"
    module.write_text(code.format("'old'"))
    arguments = ("watched:router", "--queue", "Q", "--watch", "--server", server.url)
    async with Client.connect(server.url, queue="Q") as client, worker_process(*arguments, cwd=tmp_path) as worker:
        await worker.wait_log("worker ready")
        assert await client.result((await client.enqueue("t")).id, timeout=30) == "old"
        # The file system's clock may be too coarse for Python to notice that the source is newer than its cache.
        module.write_text(code.format("'new code'"))
        await worker.wait_log("changed: restarting")
        await worker.wait_log("worker ready")
        assert await client.result((await client.enqueue("t")).id, timeout=30) == "new code"


# ---- health and metrics


ORIGINAL_METRICS = (
    "queue_enqueue_count_total",
    "queue_enqueue_error_count_total",
    "queue_item_corrupt_error_count_total",
    "queue_task_not_found_error_count_total",
    "queue_task_past_deadline_count_total",
    "queue_task_past_max_tries_count_total",
    "queue_poll_total",
    "queue_poll_error_total",
    "task_update_total",
    "task_update_error_total",
    "task_dependencies_failed_total",
    "handler_busy_count",
    "handler_error_total",
    "handler_runtime",
)
"""The metrics of workers. The Python library adds ``_total``."""


async def get(url: str) -> tuple[int, str]:
    def read() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            with e:
                return e.code, e.read().decode()

    return await asyncio.to_thread(read)


async def test_health_metrics_and_presence_of_a_process(server):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = (HANDLERS, "--queue", "Q", "--monitor", str(port), "--server", server.url, "--name", "w1")
    async with Client.connect(server.url, queue="Q") as client, worker_process(*arguments) as worker:
        await worker.wait_log("worker ready")
        assert await client.result((await client.enqueue("echo", 5)).id, timeout=30) == 5
        running = await client.enqueue("slow", 600)
        await wait_state(client, running.id, TaskState.ACTIVE)
        base = f"http://127.0.0.1:{port}"
        status, body = await get(f"{base}/readyz")
        assert (status, json.loads(body)["checks"]["queue Q"]) == (200, "ok")
        assert (await get(f"{base}/healthz"))[0] == 200
        assert (await get(f"{base}/nothing"))[0] == 404
        _, metrics = await get(f"{base}/metrics")
        for line in (
            'choria_asyncjobs_handler_runtime_bucket{le="+Inf",queue="Q",type="echo"} 1.0',
            'choria_asyncjobs_task_wait_seconds_count{queue="Q",type="echo"} 1.0',
            "choria_asyncjobs_handler_busy_count 1.0",
            'choria_asyncjobs_queue_running_items{queue="Q"} 1.0',
            'choria_asyncjobs_queue_prefetched_items{queue="Q"} 0.0',
            "process_open_fds",
        ):
            assert line in metrics
        for name in ORIGINAL_METRICS:
            assert f"# TYPE choria_asyncjobs_{name} " in metrics
        server.kill()
        async with asyncio.timeout(30):
            while (await get(f"{base}/readyz"))[0] == 200:
                await asyncio.sleep(0.05)
        status, body = await get(f"{base}/readyz")
        assert (status, json.loads(body)["checks"]["nats"]) == (503, "not connected")
        assert (await get(f"{base}/healthz"))[0] == 200


async def test_a_worker_is_ready_once_its_lifespans_are(server):
    arguments = ("ajobs.testing.handlers:slow_to_start", "--queue", "Q", "--monitor", "0", "--server", server.url)
    async with worker_process(*arguments) as worker:
        port = int(re.search(r"on port (\d+)", await worker.wait_log("metrics and health"))[1])
        await worker.wait_log("connecting")
        status, body = await get(f"http://127.0.0.1:{port}/readyz")
        assert (status, json.loads(body)["checks"]["started"]) == (503, "not started yet")
        worker.signal(signal.SIGTERM)
        assert await worker.ended() == 0
    assert "worker ready" not in "".join(worker.log)


async def test_health_reports_a_blocked_event_loop():
    health = Health(alive=lambda: {"event loop": "did not answer"}, ready=dict)
    with serve_metrics(0, health=health) as port:
        assert (await get(f"http://127.0.0.1:{port}/healthz"))[0] == 503
        with pytest.raises(ConfigurationError, match="another port"), serve_metrics(port):
            pass


async def test_a_worker_is_announced_until_it_stops(server, monkeypatch):
    monkeypatch.setattr("ajobs.worker.process.presence.INTERVAL_S", 0.05)
    router = Router()
    go = asyncio.Event()

    @router.handler("t")
    async def wait() -> None:
        await go.wait()

    async with Client.connect(server.url, queue=Queue(name="Q", max_run_time="1m")) as client:
        worker = Worker(client, router)
        assert await client.workers() == []
        async with worker.running(), Presence(worker, None, logger).announced():
            task = await client.enqueue("t")
            async with asyncio.timeout(30):
                while not (workers := await client.workers()) or not workers[0].running:
                    await asyncio.sleep(0.01)
            # A deleted bucket is created again.
            await client.storage.connection.nats.jetstream().delete_stream(f"KV_{WORKERS_BUCKET}")
            async with asyncio.timeout(30):
                while not (workers := await client.workers()):
                    await asyncio.sleep(0.01)
            (found,) = workers
            assert (found.host, found.pid, found.state) == (socket.gethostname(), os.getpid(), "running")
            assert (found.running[0].id, found.running_count, found.queues[0].running) == (task.id, 1, 1)
            go.set()
            await client.wait(task.id, timeout=30)
            async with asyncio.timeout(30):
                while (await client.workers())[0].counters != {"complete": 1}:
                    await asyncio.sleep(0.01)
        assert await client.workers() == []


# ---- logs


async def test_json_logs_have_one_object_for_each_start_and_end(server):
    arguments = (HANDLERS, "--queue", "Q", "--log-format", "json", "--server", server.url)
    async with Client.connect(server.url, queue="Q") as client, worker_process(*arguments) as worker:
        task = await client.enqueue("echo", 5)
        started = json.loads(await worker.wait_log("task started"))
        ended = json.loads(await worker.wait_log("task ended"))
        wrong = await client.enqueue("echo", "sesame")
        failed = json.loads(await worker.wait_log('"outcome":"terminated"'))
    fields = {"task_id": task.id, "task_type": "echo", "queue": "Q", "tries": 1}
    assert started.items() >= fields.items()
    assert ended.items() >= (fields | {"outcome": "complete", "level": "info"}).items()
    assert 0 <= ended["duration_s"] < 60
    assert (failed["task_id"], failed["level"]) == (wrong.id, "warning")
    assert "sesame" not in "".join(worker.log)


async def test_the_traceback_of_a_handler_is_logged_with_its_task(client, caplog):
    router = Router()

    @router.handler("t")
    async def fail() -> None:
        raise ValueError("boom")

    async with working(client, router):
        task = await client.wait((await client.enqueue("t", max_tries=1)).id, timeout=30)
    (record,) = [record for record in caplog.records if record.getMessage() == "task ended"]
    assert (record.task_id, record.error, record.outcome) == (task.id, "boom", "expired")
    assert 'raise ValueError("boom")' in record.exc_text
