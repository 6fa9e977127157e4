"""Run the API: listen, serve, and shut down in order."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn

from ajobs.admin.api.application import Application
from ajobs.admin.api.authentication import Authenticator
from ajobs.admin.api.http_connection import HttpConnection
from ajobs.admin.api.operations import OPERATIONS
from ajobs.admin.api.options import Address, ServerOptions, tls_context
from ajobs.admin.api.service import Service
from ajobs.admin.api.tokens import TokenFile
from ajobs.protocol.errors import ConfigurationError

if TYPE_CHECKING:
    from ajobs.client.settings import Settings

GRACE_S = 10
"""Seconds that running requests have to finish after a stop."""
BACKLOG = 2_048
KEEP_ALIVE_S = 5
"""Seconds until an idle connection is closed."""

logger = logging.getLogger("ajobs.api")


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to the command."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


class RunningServer:
    """A server that is listening."""

    def __init__(self, server: _Server, service: Service, address: Address, *, tls: bool) -> None:
        """Wrap a server. Start one with `serving`."""
        self._server = server
        self.service = service
        self.address = address
        self.url = f"{'https' if tls else 'http'}://{address}"
        """The base URL of the server."""
        self._served: asyncio.Task[None] | None = None

    def start(self, listening: socket.socket) -> None:
        """Start to serve requests."""
        self._served = asyncio.create_task(self._server.serve([listening]), name="serve HTTP")

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return len(self._server.server_state.connections)

    def stop(self) -> None:
        """Begin the shutdown: refuse connections, end streams and waits, give other requests `GRACE_S` seconds."""
        self.service.stop()
        self._server.should_exit = True

    async def ended(self) -> None:
        """Wait until it has ended."""
        if self._served is not None:
            await self._served


@asynccontextmanager
async def serving(
    server: str | None, settings: Settings, options: ServerOptions, *, make: bool = True
) -> AsyncGenerator[RunningServer]:
    """Serve for as long as the block runs, or until it is stopped.

    Args:
        server: The URL of the NATS server; ``None`` to use the settings or the environment.
        settings: Further settings of `Client.connect`.
        options: The options of the HTTP server.
        make: Whether to create the task store and the buckets if they are missing.

    Raises:
        ConfigurationError: A file cannot be used, or the address cannot be listened on.
        AjobsError: As `Client.connect` does.
    """
    context = tls_context(options)
    tokens = None if options.token_file is None else TokenFile(options.token_file, logger)
    with _listening(options.bind) as listening:
        async with Service.open(server, settings, options, make=make) as service:
            application = Application(service, Authenticator(tokens), OPERATIONS)
            uvicorn_server = _Server(_config(application, options, context))
            host, port = listening.getsockname()[:2]
            running = RunningServer(uvicorn_server, service, Address(host, port), tls=context is not None)
            running.start(listening)
            try:
                yield running
            finally:
                running.stop()
                await running.ended()


def _config(application: Application, options: ServerOptions, context: Any) -> uvicorn.Config:
    protocol = HttpConnection.limited(
        read_timeout_s=options.read_timeout.total_seconds(),
        write_timeout_s=options.write_timeout.total_seconds(),
        max_connections=options.max_connections,
    )
    return uvicorn.Config(
        application,  # pyright: ignore[reportArgumentType] - starlette and uvicorn each define the ASGI types
        http=protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        ssl_context_factory=None if context is None else lambda _config, _default: context,
    )


@contextmanager
def _listening(bind: Address) -> Generator[socket.socket]:
    try:
        found = socket.getaddrinfo(bind.host, bind.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as e:
        raise ConfigurationError(f"cannot listen on {bind}: {e.strerror}: choose another address") from e
    with listening:
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(BACKLOG)
        except OSError as e:
            raise ConfigurationError(f"cannot listen on {bind}: {e.strerror}: choose another port or address") from e
        yield listening
