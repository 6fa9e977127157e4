"""Opening everything that a client is built from: options, keys, connection, storage and queue."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ajobs.client.nats.connection import Connection
from ajobs.client.observability.exposition import serve_metrics
from ajobs.client.options import (
    ClientOptions,
    Keys,
    keys_of,
    queue_of,
)
from ajobs.client.settings import Settings, split_settings
from ajobs.client.storage.restore import restored
from ajobs.client.storage.storage import Storage
from ajobs.protocol.queue import Queue

if TYPE_CHECKING:
    from nats.aio.client import Client as NatsClient


class Opened(NamedTuple):
    """The parts of a client."""

    storage: Storage
    queue: Queue
    keys: Keys
    options: ClientOptions
    metrics_port: int | None


@asynccontextmanager
async def open_storage(
    servers: str | Iterable[str] | None, nats: NatsClient | None, logger: logging.Logger | None, settings: Settings
) -> AsyncGenerator[Opened]:
    """Connect and prepare the storage, for as long as the block runs. See `Client.connect`."""
    connect_options, options = split_settings(servers, settings)
    keys = keys_of(options)
    # The signer has the key now; the options, which live as long as the client, need not.
    options = msgspec.structs.replace(options, signing_key=None)
    async with AsyncExitStack() as stack:
        if nats is None:
            connection = await stack.enter_async_context(Connection.open(connect_options, logger=logger))
        else:
            connection = stack.enter_context(Connection.adopt(nats, connect_options, logger=logger))
        await connection.require_jetstream()
        storage = await stack.enter_async_context(Storage.open(connection, options))
        queue = queue_of(options)
        if options.bind:
            queue = await storage.queues.join(queue.name)
        elif not options.no_storage_init:
            queue = await storage.queues.ensure(queue, replicas=options.replicas, memory=options.memory_storage)
        logger = logger or logging.getLogger("ajobs.client")
        await stack.enter_async_context(restored(storage, queue, options, logger))
        metrics_port = None
        if options.prometheus_port is not None:
            metrics_port = stack.enter_context(serve_metrics(options.prometheus_port))
        yield Opened(storage, queue, keys, options, metrics_port)
