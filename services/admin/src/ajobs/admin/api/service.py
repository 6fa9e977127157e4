"""What all handlers of the API share: the client, the events and the options of this server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from ajobs.admin.api.events import EventBroadcaster
from ajobs.admin.api.idempotency import Idempotency
from ajobs.admin.api.options import ServerOptions
from ajobs.client.client import Client
from ajobs.client.options import ClientOptions
from ajobs.protocol.errors import AjobsError, StorageNotReadyError
from ajobs.protocol.queue import default_queue

if TYPE_CHECKING:
    from ajobs.client.settings import Settings

REQUEST_TIMEOUT_S = 5.0
PATIENCE_S = 5.0
"""Seconds for which a request is tried again. A client over HTTP is told soon, and decides for itself."""

logger = logging.getLogger("ajobs.api")


class Service:
    """The parts that a request is answered with."""

    def __init__(self, client: Client, options: ServerOptions, hub: EventBroadcaster, *, make: bool) -> None:
        """Put the parts together. See `open`."""
        self.client = client
        self.options = options
        self.hub = hub
        self.idempotency = Idempotency(client, make=make)
        self.stopping = asyncio.Event()
        """Set when the server is about to end: what lasts ends soon."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, server: str | None, settings: Settings, options: ServerOptions, *, make: bool = True
    ) -> AsyncGenerator[Service]:
        """Connect, for as long as the block runs.

        Args:
            server: The NATS server, unless the settings or the environment say.
            settings: More settings of `Client.connect`.
            options: How this server is run.
            make: Whether to make the task store and the buckets that are missing. A queue never is, but for
                ``DEFAULT`` where that is allowed: its settings are somebody's decision.
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
            # Who is told whom to trust does not vouch for others.
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
            async with EventBroadcaster.open(client.storage.connection) as hub:
                service = cls(client, options, hub, make=make)
                if make:
                    with suppress(AjobsError):  # it is tried again when somebody needs it
                        await service.idempotency.prepare()
                yield service

    def check_connected(self) -> None:
        """Make sure that there is a connection to NATS right now.

        Raises:
            StorageNotReadyError: There is none; it is tried again all the time.
        """
        if not self.client.storage.connection.is_connected:
            raise StorageNotReadyError("not connected to NATS right now: try again")

    def stop(self) -> None:
        """Have what lasts end."""
        self.stopping.set()
        self.hub.close()
