"""Run clusters of real nats-servers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from ajobs.client import Client
from ajobs.protocol.errors import AjobsError
from ajobs.testing.nats_server import NatsServer


def free_ports(count: int) -> list[int]:
    """Return ports that are free now. The nodes of a cluster must know each other's ports before they start."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@asynccontextmanager
async def cluster(size: int = 3) -> AsyncGenerator[dict[str, NatsServer]]:
    """Run a cluster with JetStream until the end of the block, and yield its nodes by name once it has a leader."""
    ports = free_ports(size)
    routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
    nodes: dict[str, NatsServer] = {}
    async with AsyncExitStack() as stack:
        for number, port in enumerate(ports):
            config = f'cluster {{ name: c, listen: "127.0.0.1:{port}", routes: [{routes}] }}'
            name = f"n{number}"
            nodes[name] = await stack.enter_async_context(NatsServer.run(config=f"server_name: {name}\n{config}"))
        async with asyncio.timeout(60):
            while not await has_leader(nodes):
                await asyncio.sleep(0.1)  # the servers do not announce it
        yield nodes


async def has_leader(nodes: dict[str, NatsServer]) -> bool:
    """Return whether streams can be created."""
    try:
        async with Client.connect(
            [node.url for node in nodes.values()], no_storage_init=True, request_timeout=1
        ) as client:
            await client.storage.queues.names()
    except AjobsError:
        return False
    return True
