"""All of the storage behind one connection."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from ajobs.client.nats.requests import Requests
from ajobs.client.storage.events import EventPublisher
from ajobs.client.storage.items import WorkItems
from ajobs.client.storage.jetstream.api import JetStream
from ajobs.client.storage.provision import ensure_buckets, ensure_tasks_stream, find_stream
from ajobs.client.storage.queues import QueueStore
from ajobs.client.storage.tasks import TaskStore
from ajobs.protocol.durations import as_ns, as_seconds
from ajobs.protocol.subjects import TASKS_STREAM

if TYPE_CHECKING:
    from ajobs.client.nats.connection import Connection
    from ajobs.client.options import ClientOptions


class Storage(NamedTuple):
    """What the client, the worker and the other services keep their data with."""

    connection: Connection
    requests: Requests
    jetstream: JetStream
    tasks: TaskStore
    items: WorkItems
    queues: QueueStore
    events: EventPublisher

    @classmethod
    @asynccontextmanager
    async def open(cls, connection: Connection, options: ClientOptions) -> AsyncGenerator[Storage]:
        """Use the storage over a connection for as long as the block runs, making what is missing unless told not to.

        Raises:
            JetStreamNotEnabledError: The server or the account has none.
            StorageError: The server refuses to make a stream or bucket.
        """
        async with Requests.open(connection, as_seconds(options.request_timeout)) as requests:
            jetstream = JetStream(requests, connection.api_prefix, patience_s=as_seconds(options.patience))
            events = EventPublisher(requests)
            tasks = TaskStore(jetstream, events)
            items = WorkItems(jetstream)
            storage = cls(connection, requests, jetstream, tasks, items, QueueStore(jetstream), events)
            await storage.prepare(options)
            yield storage

    async def prepare(self, options: ClientOptions) -> None:
        """Make what is missing, unless the options say not to, and find out how tasks are best read."""
        if options.no_storage_init:
            info = await find_stream(self.jetstream, TASKS_STREAM)
        else:
            info = await ensure_tasks_stream(
                self.jetstream,
                replicas=options.replicas,
                memory=options.memory_storage,
                retention_ns=as_ns(options.task_retention),
            )
            await ensure_buckets(self.jetstream, replicas=options.replicas, memory=options.memory_storage)
        if info is not None:
            config = info["config"]
            self.tasks.direct_get = bool(config.get("allow_direct"))
            self.tasks.direct_is_exact = self.tasks.direct_get and config.get("num_replicas", 1) == 1
