"""Measure the HTTP API with many clients: half of them list tasks, half watch events, while tasks are enqueued.

``python -m benchmarks.http_clients`` starts a nats-server and ``ajc server run`` as processes on this machine. All
clients run in this process, each with a persistent connection. A status other than 200, a broken connection, an
incomplete list and a missing event count as errors.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import uvloop

from ajobs.client import Client, Queue
from ajobs.testing.nats_server import NatsServer

STORED = 1_000
PAYLOAD = "x" * 200
LIMIT = 50
ENQUEUE_EVERY_S = 0.1
READY = "server ready: http://"
TIMEOUT_S = 30.0
"""Seconds after which clients count as hanging."""


@dataclass
class Figures:
    lists: list[float] = field(default_factory=list)
    tasks: int = 0
    events: int = 0
    lost: int = 0
    errors: list[str] = field(default_factory=list)


class Connection:
    """A minimal HTTP/1.1 client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def get(self, path: str) -> None:
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = await self.reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ConnectionError(head.partition(b"\r\n")[0].decode())

    async def piece(self) -> bytes:
        size = int(await self.reader.readline(), 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    async def whole(self) -> bytes:
        pieces = []
        while piece := await self.piece():
            pieces.append(piece)
        return b"".join(pieces)


async def lists(port: int, end: float, figures: Figures) -> None:
    try:
        connection = await Connection.open(port)
        while time.monotonic() < end:
            began = time.monotonic()
            await connection.get(f"/v1/tasks?limit={LIMIT}")
            page = msgspec.json.decode(await connection.whole())
            if page["count"] != len(page["tasks"]) or page["count"] != LIMIT:
                raise ConnectionError(f"{page['count']} tasks instead of {LIMIT}")
            figures.lists.append(time.monotonic() - began)
            figures.tasks += page["count"]
        connection.writer.close()
    except (OSError, EOFError, ValueError) as e:
        figures.errors.append(f"list: {e!r}")


async def watches(port: int, last: str, ready: asyncio.Barrier, figures: Figures) -> None:
    """Watch events until that of the last task."""
    try:
        connection = await Connection.open(port)
        await connection.get("/v1/events")
        await connection.piece()
        await ready.wait()
        while True:
            piece = await connection.piece()
            figures.events += piece.count(b"event: task_state")
            figures.lost += piece.count(b"event: lost")
            if last.encode() in piece:
                break
        connection.writer.close()
    except (OSError, EOFError, ValueError) as e:
        figures.errors.append(f"events: {e!r}")


async def enqueues(client: Client, end: float, last: str) -> int:
    count = 0
    while time.monotonic() < end:
        await client.enqueue("t", PAYLOAD)
        count += 1
        await asyncio.sleep(ENQUEUE_EVERY_S)
    await client.enqueue("t", PAYLOAD, task_id=last)
    return count + 1


async def start_server(url: str, stack: AsyncExitStack) -> tuple[int, asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ajobs.admin.cli.main", "server", "run", "--server", url, "--listen", "127.0.0.1:0",
        "--queue", "Q", stderr=asyncio.subprocess.PIPE, limit=2**20,
    )  # fmt: skip
    stack.push_async_callback(stop, process)
    assert process.stderr is not None
    while True:
        line = (await process.stderr.readline()).decode()
        if READY in line:
            break
        if not line:
            raise SystemExit("the server did not start")
    drain = asyncio.create_task(drained(process.stderr))
    stack.callback(drain.cancel)
    return int(line.split(READY)[1].split(",")[0].rpartition(":")[2]), process


async def drained(stream: asyncio.StreamReader) -> None:
    while await stream.read(2**16):
        pass


async def stop(process: asyncio.subprocess.Process) -> None:
    process.terminate()
    await process.wait()


def memory_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


async def measure(clients: int, seconds: float) -> int:
    figures = Figures()
    async with AsyncExitStack() as stack:
        nats = await stack.enter_async_context(NatsServer.run())
        client = await stack.enter_async_context(Client.connect(nats.url, queue=Queue(name="Q")))
        await client.enqueue_many(client.new_task("t", PAYLOAD) for _ in range(STORED))
        port, process = await start_server(nats.url, stack)
        watchers, ready = clients // 2, asyncio.Barrier(clients // 2 + 1)
        watching = [asyncio.create_task(watches(port, "the-last", ready, figures)) for _ in range(watchers)]
        async with asyncio.timeout(TIMEOUT_S):
            await ready.wait()
        end = time.monotonic() + seconds
        listing = [asyncio.create_task(lists(port, end, figures)) for _ in range(clients - watchers)]
        enqueued = await enqueues(client, end, "the-last")
        _, late = await asyncio.wait([*listing, *watching], timeout=TIMEOUT_S)
        figures.errors += ["timed out"] * len(late)
        for task in late:
            task.cancel()
        if figures.events != watchers * enqueued:
            figures.errors.append(f"{figures.events} events instead of {watchers * enqueued}")
        peak = memory_mb(process.pid)
    times = sorted(figures.lists) or [0.0]
    print(f"{clients - watchers} clients list {LIMIT} of {STORED} tasks, {watchers} watch events, for {seconds:g} s")
    print(f"lists        {len(times)}, {len(times) / seconds:.0f}/s, {figures.tasks / seconds:.0f} tasks/s")
    print(f"a list takes {times[len(times) // 2]:.2f} s (median), {times[int(len(times) * 0.99)]:.2f} s (99 %)")
    print(f"events       {enqueued} to each of {watchers}: {figures.events}, {figures.lost} lost")
    print(f"server       {peak:.0f} MB peak memory")
    print(f"errors       {len(figures.errors)}", *sorted(set(figures.errors))[:5])
    return 1 if figures.errors else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    sys.exit(uvloop.run(measure(given.clients, given.seconds)))


if __name__ == "__main__":
    main()
