"""`ajc top` on a terminal of a fixed size, with a real server and a real worker."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys

import pytest

from ajobs.client import Client, Queue
from ajobs.testing.processes import worker_process
from services.admin.tests.integration.terminals import on_terminal

AJC = "ajobs.admin.cli.main"
HANDLERS = "ajobs.testing.handlers:router"


@pytest.fixture
async def busy(server, client):
    """A worker that always has something to do, and a queue without one."""
    await client.create_queue(Queue(name="LONELY"))
    await client.enqueue("orphan", queue="LONELY")
    async with worker_process(HANDLERS, "--queue", "Q", "--name", "worker-1", "--server", server.url) as worker:
        await worker.wait_log("worker ready")

        async def produce() -> None:
            while True:
                await client.enqueue("echo", 1)
                await client.enqueue("thread", "this is not a number", max_tries=1)
                await client.enqueue("slow", 0.2)
                await asyncio.sleep(0.05)

        producing = asyncio.create_task(produce())
        yield
        producing.cancel()
        await asyncio.gather(producing, return_exceptions=True)


def top(server, *arguments, width=80, height=24):
    return on_terminal(AJC, "top", *arguments, width=width, height=height, NATS_URL=server.url)


def shows_all(text: str) -> bool:
    return all(
        re.search(pattern, text, re.MULTILINE)
        for pattern in (
            r"^LONELY +1 +1 .* no worker",
            r"^Q +\d+ .* [1-9]\d*\.\d",
            r"^worker-1 +running +\d+/10 Q",
            r"^echo +Q +[1-9]\d*\.\d .* 0 +0%",
            r"^thread +Q .*100%",
            r"^\d\d:\d\d:\d\d .*thread +(terminated|expired)",
        )
    )


@pytest.mark.usefixtures("busy")
async def test_the_screen_shows_everything_on_the_smallest_terminal_and_more_on_a_larger_one(server):
    async with top(server) as terminal:
        small = await terminal.wait(lambda text: shows_all(text) and text.split("\n")[-1].startswith("q quit"))
        lines = small.split("\n")
        assert lines[0].startswith(f"ajobs  {server.url}  nats-server 2.")
        assert "1 worker, " in lines[1]
        assert lines[-1].startswith("q quit")
        assert "OUT, LAST 30 S" not in small
        terminal.resize(160, 50)
        await terminal.wait(
            lambda text: "OUT, LAST 30 S" in text and shows_all(text) and text.split("\n")[-1].startswith("q quit")
        )
        terminal.resize(80, 24)
        await terminal.wait(lambda text: "OUT, LAST 30 S" not in text and shows_all(text))
        terminal.type("q")
        assert await terminal.ended() == 0
        assert terminal.is_restored()


@pytest.mark.usefixtures("busy")
async def test_keys_choose_the_view(server):
    async with top(server) as terminal:
        await terminal.wait(shows_all)
        for key, text in (
            ("s", "sort queues: rate"), ("t", "types: failing"), ("f", "queue: LONELY"), ("f", "queue: Q"),
            ("f", "queue: all"), ("\x1b[A", "queue: all"), ("p", "paused: press p to continue"), ("p", "p pause"),
        ):  # fmt: skip
            terminal.type(key)
            await terminal.wait(text)
        terminal.type("p")
        await terminal.wait("paused: press p to continue")
        # The whole screen is drawn before the next key is read, so from here on no line is older than the pause.
        terminal.type("s")
        before = await terminal.wait("sort queues: failures")
        terminal.type("s")
        after = await terminal.wait(lambda text: "sort queues:" in text and "sort queues: failures" not in text)
        numbers = re.compile(r"^Q +(.*)$", re.MULTILINE)
        assert numbers.search(before)[1] == numbers.search(after)[1]
        terminal.type("q")
        assert await terminal.ended() == 0


@pytest.mark.parametrize(("stop", "status"), [("\x03", 130), (signal.SIGTERM, 0), (signal.SIGHUP, 0)])
async def test_the_terminal_is_restored_however_it_ends(server, client, stop, status):
    async with top(server) as terminal:
        await terminal.wait("no workers")
        if isinstance(stop, str):
            terminal.type(stop)
        else:
            terminal.process.send_signal(stop)
        assert await terminal.ended() == status
        assert terminal.is_restored()


async def test_the_screen_survives_a_restart_of_the_server(server, client):
    async with top(server) as terminal:
        await terminal.wait(r"no workers")
        await server.stop()
        await terminal.wait("disconnected, reconnecting")
        await server.start()
        await terminal.wait(lambda text: "disconnected" not in text and "no workers" in text)
        await client.storage.connection.synchronize()
        await client.enqueue("after:restart")

        def goes_on(text: str) -> bool:
            return re.search(r"^Q +1 +1 ", text, re.MULTILINE) is not None

        await terminal.wait(goes_on)
        terminal.type("q")
        assert await terminal.ended() == 0
        assert terminal.is_restored()


async def ajc(server, *arguments):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", AJC, *arguments, env={"NATS_URL": server.url, "PATH": ""},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


@pytest.mark.usefixtures("busy")
async def test_without_a_terminal_it_prints_a_snapshot(server):
    status, output, errors = await ajc(server, "top")
    assert (status, errors) == (0, "")
    assert "\x1b" not in output
    assert re.search(r"^Q +\d+", output, re.MULTILINE)
    assert re.search(r"^echo +Q", output, re.MULTILINE)
    status, output, _ = await ajc(server, "top", "--json", "--queue", "LONELY", "--sample", "100ms")
    found = json.loads(output)
    assert status == 0
    assert [row["queue"]["name"] for row in found["queues"]] == ["LONELY"]
    assert found["poll"]["workers"] == []


async def test_a_snapshot_leaves_the_terminal_as_it_is(server, client):
    async with top(server, "--once", "--sample", "0s") as terminal:
        assert await terminal.ended() == 0
        await terminal.wait("no workers")
        assert b"\x1b[?1049h" not in terminal.output


async def test_a_missing_queue_is_reported(server, client):
    status, _, errors = await ajc(server, "top", "--queue", "NONE")
    assert status == 1
    assert errors.startswith("ajc: queue NONE does not exist")


async def test_a_large_installation_is_shown(server):
    async with Client.connect(server.url) as client:
        for n in range(60):
            await client.create_queue(Queue(name=f"QUEUE_{n}"))
        async with top(server, "--sort", "name") as terminal:
            await terminal.wait("… 49 more")
            terminal.type("q")
            assert await terminal.ended() == 0
