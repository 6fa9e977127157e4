"""`ajc dev`: the whole stack on this machine."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import urllib.request
from pathlib import Path

import pytest

from ajobs.admin.dev.processes import environment_for
from ajobs.admin.dev.stack import free_port
from ajobs.client import Client
from tests import ROOT
from tests.integration.test_demo import command, in_session

AJC = "ajobs.admin.cli.main"
HANDLERS = "ajobs.testing.handlers:router"
URL = r"export NATS_URL=(nats://127\.0\.0\.1:\d+)"


async def read_until(process, pattern: str) -> str:
    """Return the output up to a line that matches."""
    text = ""
    async with asyncio.timeout(60):
        while re.search(pattern, text) is None:
            line = await process.stdout.readline()
            assert line, text
            text += line.decode()
    return text


async def interrupt(process) -> str:
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(60):
        rest = (await process.stdout.read()).decode()
        assert await process.wait() == 0, rest
    return rest


def dev(*arguments, cwd=ROOT):
    return command(AJC, "dev", "--port", "0", "--api-port", "0", *arguments, cwd=cwd)


def get(url: str):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


async def test_the_stack_runs_and_prints_its_addresses_and_the_store_can_be_kept(tmp_path):
    store = tmp_path / "deep" / "store"
    async with dev(HANDLERS, "--store", str(store), "--queue", "Q") as process:
        text = await read_until(process, "Ctrl-C to stop everything")
        url, api = re.search(URL, text)[1], re.search(r"curl (http://127\.0\.0\.1:\d+)/v1/info", text)[1]
        assert "scheduler ready" in text
        assert "store in" in text
        async with Client.connect(url, queue="Q") as client:
            task = await client.enqueue("echo", 7)
            assert await client.result(task.id, timeout=60) == 7
        stored = await asyncio.to_thread(get, f"{api}/v1/tasks/{task.id}")
        assert stored["state"] == "complete"
        # Two servers would ruin it.
        async with dev("--store", str(store)) as other:
            output = (await other.communicate())[0].decode()
            assert other.returncode == 2
            assert output.startswith(f"ajc: the store in {store} is in use")
        rest = await interrupt(process)
        assert "worker stopped" in rest
        assert "scheduler stopped" in rest
        assert "server stopped" in rest
    async with dev("--no-scheduler", "--no-api", "--store", str(store)) as process:
        text = await read_until(process, "Ctrl-C to stop everything")
        async with Client.connect(re.search(URL, text)[1], queue="Q") as client:
            assert (await client.load(task.id)).state == "complete"
        await interrupt(process)


async def test_handlers_come_from_a_file_and_without_one_there_is_no_worker(tmp_path):
    async with dev("--no-api", cwd=tmp_path) as process:
        assert "none: pass a router" in await read_until(process, "Ctrl-C")
        await interrupt(process)
    (tmp_path / "asyncjobs.yaml").write_text("queue: FILED\ntasks: [{type: where, command: pwd}]\n")
    async with dev("--no-api", "--no-scheduler", "--workers", "2", cwd=tmp_path) as process:
        text = await read_until(process, "Ctrl-C")
        assert "2 workers" in text
        async with Client.connect(re.search(URL, text)[1], queue="FILED") as client:
            task = await client.enqueue("where")
            assert (await client.result(task.id, timeout=60)).strip() == str(tmp_path)
        await interrupt(process)


def command_line(pid: str) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("ajobs.worker.process.main", "worker-1"),
        ("ajobs.scheduler.main", "scheduler"),
        ("--ports_file_dir", "nats-server"),
    ],
)
async def test_if_one_process_ends_all_do_and_the_end_of_its_log_is_shown(module, name):
    async with dev(HANDLERS) as process:
        await read_until(process, "Ctrl-C to stop everything")
        (pid,) = [int(each) for each in in_session(process.pid) if module in command_line(each)]
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(60):
            rest = (await process.stdout.read()).decode()
            assert await process.wait() == 1
    assert f"ajc: {name} ended with exit code -9; the end of its log:\n" in rest
    assert "worker stopped" in rest or name == "worker-1"


async def test_a_used_port_is_skipped(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) == 0
        async with command(AJC, "dev", "--port", "0", "--api-port", str(port), "--no-scheduler") as process:
            output = (await process.communicate())[0].decode()
            assert process.returncode == 1
            assert "api ended with exit code" in output
            assert str(port) in output
    assert free_port(port) == port


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["ajobs.testing.handlers:router", "--config", "x.yaml"], "either ROUTER or --config"),
        (["--workers", "-1"], "invalid --workers"),
        (["--store", "/dev/null/x"], "cannot keep the store in"),
    ],
)
async def test_bad_options_are_refused_in_one_line(arguments, text):
    async with dev(*arguments) as process:
        output = (await process.communicate())[0].decode()
        assert process.returncode == 2
        assert output.startswith("ajc: ")
        assert text in output
        assert output.count("\n") == 1


def test_the_processes_connect_to_this_server_and_to_no_other(monkeypatch):
    for name in ("NATS_URL", "NATS_CREDS", "CONTEXT", "AJ_NATS_CONTEXT", "AJ_NATS_URL", "AJ_MONITOR", "AJ_ROUTER"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AJ_RETRY_POLICY", "1m")
    found = environment_for("nats://127.0.0.1:1")
    assert {name: value for name, value in found.items() if name.startswith(("NATS", "AJ_", "CONTEXT"))} == {
        "NATS_URL": "nats://127.0.0.1:1", "AJ_RETRY_POLICY": "1m",
    }  # fmt: skip
