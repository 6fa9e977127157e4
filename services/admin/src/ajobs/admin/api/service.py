"""The parts that all endpoints share: the client, the events and the options of the server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from ajobs.admin.api.events import EventBroadcaster
from ajobs.admin.api.options import ServerOptions
from ajobs.client.client import Client
from ajobs.client.options import ClientOptions
from ajobs.client.tasks.idempotency import Idempotency
from ajobs.protocol.errors import AjobsError, StorageNotReadyError
from ajobs.protocol.queue import default_queue

if TYPE_CHECKING:
    from ajobs.client.settings import Settings

REQUEST_TIMEOUT_S = 5.0
PATIENCE_S = 5.0
"""Seconds to retry a NATS request. The HTTP client gets a 503 soon and decides whether to retry."""

logger = logging.getLogger("ajobs.api")


class Service:
    """The parts that endpoints use."""

    def __init__(self, client: Client, options: ServerOptions, events: EventBroadcaster, *, make: bool) -> None:
        """Combine the parts. Create one with `open`."""
        self.client = client
        self.options = options
        self.events = events
        self.idempotency = Idempotency(client.enqueuer, client.options, create=make)
        self.stopping = asyncio.Event()
        """Set when the server shuts down. Long requests watch it and end early."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, server: str | None, settings: Settings, options: ServerOptions, *, make: bool = True
    ) -> AsyncGenerator[Service]:
        """Connect to NATS for as long as the block runs.

        Args:
            server: The URL of the NATS server; ``None`` to use the settings or the environment.
            settings: Further settings of `Client.connect`.
            options: The options of the HTTP server.
            make: Whether to create the task store and the buckets if they are missing. Queues are never created, except
                ``DEFAULT`` if the options allow it, because their settings are a decision of the operator.
        """
        wanted: Settings = {
            "name": "ajobs-api",
            "request_timeout": REQUEST_TIMEOUT_S,
            "patience": PATIENCE_S,
            **settings,
            "queue": options.queue,
            "no_storage_init": True,
        }
        if wanted.get("verification_key") is not None or wanted.get("verification_key_file") is not None:
            # A server that verifies signatures must not sign for its callers.
            wanted["signing_key"] = wanted["signing_seed_file"] = None
        async with Client.connect(server, logger=logging.getLogger("ajobs.client"), **wanted) as client:
            if make:
                given = client.options
                await client.storage.prepare(
                    ClientOptions(
                        replicas=given.replicas,
                        memory_storage=given.memory_storage,
                        task_retention=given.task_retention,
                    )
                )
                if options.allow_create_default:
                    await client.ensure_queue(default_queue())
            async with EventBroadcaster.open(client.connection) as events:
                service = cls(client, options, events, make=make)
                if make:
                    with suppress(AjobsError):  # the first request that needs it tries again
                        await service.idempotency.prepare()
                yield service

    def check_connected(self) -> None:
        """Check that the server is connected to NATS.

        Raises:
            StorageNotReadyError: It is not. The client reconnects in the background.
        """
        if not self.client.connection.is_connected:
            raise StorageNotReadyError("not connected to NATS: try again in a moment")

    def stop(self) -> None:
        """End streams and waits."""
        self.stopping.set()
        self.events.close()
