"""`make demo` and `make dev`, run as a new user runs them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ajobs.client import Client
from tests import ROOT


@pytest.fixture
def folder(tmp_path):
    files = tmp_path / "files"
    (files / "deep").mkdir(parents=True)
    for number in range(12):
        (files / "deep" / f"{number}.txt").write_text("x" * number)
    return files


@asynccontextmanager
async def command(*arguments: str, cwd: Path = ROOT) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run a module in its own session, and check that no process of the session is left afterwards."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *arguments, cwd=cwd, env=environment, start_new_session=True,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            await process.wait()
        assert in_session(process.pid) == []


def in_session(session: int) -> list[str]:
    pids = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (OSError, NotADirectoryError):
            continue
        if fields and int(fields[3]) == session and fields[0] != "Z":
            pids.append(entry.name)
    return pids


async def read_until(process: asyncio.subprocess.Process, pattern: str) -> re.Match[str]:
    text = ""
    async with asyncio.timeout(60):
        while (match := re.search(pattern, text)) is None:
            line = await process.stdout.readline()
            assert line, text
            text += line.decode()
    return match


async def test_the_demo_ends_with_every_task_in_its_expected_state_and_a_report(folder, tmp_path):
    async with command("examples.demo", str(folder), cwd=tmp_path) as process:
        output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output
    assert "every task is in its expected state" in output
    assert re.search(r"complete\s+│\s+13\s+│\s+13\s", output), output
    for state in ("expired", "terminated"):
        assert re.search(rf"{state}\s+│\s+1\s+│\s+1\s", output), output
    assert re.search(r"retried\s+2 tasks", output), output
    assert "\x1b[" not in output
    report = (tmp_path / "demo-report.md").read_text()
    assert "12 files, 66 bytes" in report


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupt_stops_the_demo_and_cleans_up(folder, tmp_path, number):
    async with command("examples.demo", str(folder), cwd=tmp_path) as process:
        await read_until(process, "starting nats-server")
        process.send_signal(number)
        assert await process.wait() == 130


@pytest.mark.parametrize(("argument", "code", "text"), [("missing", 2, "not a folder"), ("empty", 1, "no files")])
async def test_an_unusable_folder_is_reported(tmp_path, argument, code, text):
    (tmp_path / "empty").mkdir()
    async with command("examples.demo", str(tmp_path / argument), cwd=tmp_path) as process:
        output = (await process.communicate())[0].decode()
    assert process.returncode == code
    assert text in output


async def test_the_development_stack_prints_how_to_connect_and_stops_on_an_interrupt(folder):
    async with command("ajobs.admin.dev", "examples.demo.tasks:router", "--port", "0") as process:
        url = (await read_until(process, r"NATS_URL=(nats://127\.0\.0\.1:\d+)"))[1]
        async with Client.connect(url) as client:
            task = await client.enqueue("file:digest", {"path": str(folder / "deep" / "3.txt")})
            assert (await client.result(task.id, timeout=60))["size"] == 3
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0


async def test_the_development_stack_ends_when_its_worker_does():
    async with command("ajobs.admin.dev", "no.such.module", "--port", "0") as process:
        output = (await process.communicate())[0].decode()
    assert process.returncode == 1
    assert "no module" in output
