"""A connection on which nothing arrives is noticed, and nothing that a caller does makes it deaf."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest

from ajobs.client import Client
from ajobs.protocol.errors import RequestTimeoutError


class Proxy:
    """Passes bytes between clients and a server."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.muted = 0
        """The number of the connection on which nothing of the server arrives any more."""
        self.passing = asyncio.Event()


@asynccontextmanager
async def proxy(port: int) -> AsyncGenerator[Proxy]:
    """Listen in front of a server."""
    running, tasks, writers = Proxy(), set[asyncio.Task](), list[asyncio.StreamWriter]()

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter, number: int) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                if number:
                    while number == running.muted:
                        await running.passing.wait()
                target.write(data)
        target.close()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.get_running_loop().create_task(connect(reader, writer)))

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.connections += 1
        theirs, ours = await asyncio.open_connection("127.0.0.1", port)
        writers.extend([ours, writer])
        tasks.add(asyncio.get_running_loop().create_task(copy(theirs, writer, running.connections)))
        await copy(reader, ours, 0)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        for writer in writers:
            writer.close()
        await asyncio.gather(*tasks, *(writer.wait_closed() for writer in writers), return_exceptions=True)


async def test_a_connection_on_which_nothing_arrives_is_replaced(server):
    async with (
        proxy(server.port) as between,
        Client.connect(f"nats://127.0.0.1:{between.port}", queue="Q", request_timeout=2) as client,
    ):
        back = asyncio.Event()
        client.storage.connection.on_reconnect(back.set)
        between.muted = 1
        async with asyncio.timeout(30):
            task = await client.enqueue("t", 1)  # repeated over the new connection
            await back.wait()
        assert between.connections == 2
        assert (await client.load(task.id)).id == task.id


async def test_a_poll_costs_one_request_and_leaves_the_connection_alone(server, client):
    task = await client.enqueue("t", 1)
    nats = client.storage.connection.nats
    before = nats.stats["out_msgs"]
    for _ in range(20):
        with pytest.raises(RequestTimeoutError, match=f"task {task.id} is new, not finished"):
            await client.wait(task.id, timeout=0)
    assert nats.stats["out_msgs"] - before == 20
    assert not nats._reading_task.done()
    assert (await client.enqueue("t", 2)).id


async def test_a_wait_that_is_cancelled_at_any_step_leaves_the_connection_alone(client):
    task = await client.enqueue("t", 1)
    for steps in range(60):
        waiting = asyncio.create_task(client.wait(task.id, timeout=5))
        for _ in range(steps):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert not client.storage.connection.nats._reading_task.done()
    assert (await client.enqueue("t", 2)).id


async def test_a_caller_continues_after_the_server_was_paused(server, client):
    task = await client.enqueue("t", 1)
    os.kill(server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(RequestTimeoutError):
            await client.wait(task.id, timeout=1.6)
    finally:
        os.kill(server.pid, signal.SIGCONT)
    async with asyncio.timeout(30):
        assert (await client.enqueue("t", 2)).id
    assert not client.storage.connection.nats._reading_task.done()


async def test_a_wait_always_ends_in_time(client):
    """On Python 3.11, `asyncio.wait_for` swallows a cancellation that meets the answer."""
    task = await client.enqueue("t", 1)
    for number in range(200):
        with pytest.raises(RequestTimeoutError):
            async with asyncio.timeout(30):
                await client.wait(task.id, timeout=0.0005 * (1 + number % 5))
    assert not client.storage.connection.nats._reading_task.done()
