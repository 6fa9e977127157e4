"""Serving a process's metrics and health over HTTP.

``/metrics`` is for Prometheus. ``/healthz`` answers 200 while the process lives: its event loop answers. ``/readyz``
answers 200 while it can do its work, else 503; both have the checks as JSON. It runs in a thread of its own, so that a
loop that hangs is seen to hang.

Each connection has a thread, so their number is limited: a new connection beyond that ends the oldest one. Silent
connections end after a timeout. Slow and hostile clients therefore take little memory and never keep a probe out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR, socket
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import msgspec
from prometheus_client import make_wsgi_app  # pyright: ignore[reportUnknownVariableType] - not typed

from ajobs.protocol.errors import ConfigurationError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

LOOPBACK = "127.0.0.1"
MAX_CONNECTIONS = 16
TIMEOUT_S = 10.0
"""Seconds that a client may take to send some bytes, or to receive some."""

Checks = Mapping[str, str | None]
"""The checks by name, each with its problem, or ``None`` if it passed."""


class Health(msgspec.Struct, frozen=True):
    """The two questions; each is asked in the server's thread."""

    alive: Callable[[], Checks]
    ready: Callable[[], Checks]


_FINE = Health(alive=dict, ready=dict)


class _Server(ThreadingMixIn, WSGIServer):
    """A server with a thread for each connection, up to `MAX_CONNECTIONS`."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Start without connections."""
        # An event for each connection, set when its thread has ended; oldest first. Only one thread adds to it.
        self._open: dict[socket, threading.Event] = {}
        super().__init__(*arguments, **named)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Handle a connection in a thread, after ending the oldest one if there are too many."""
        while len(self._open) >= MAX_CONNECTIONS:
            self._end(*next(iter(list(self._open.items())), (None, None)))
        self._open[request] = threading.Event()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Handle a connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            ended = self._open.pop(request, None)
            if ended is not None:
                ended.set()

    def _end(self, request: socket | None, ended: threading.Event | None) -> None:
        if request is None or ended is None:
            return
        with suppress(OSError):
            request.shutdown(SHUT_RDWR)  # wakes its thread
        if not ended.wait(1):
            # Its thread is computing a response. It does not count any more, and ends on its own.
            self._open.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that are slow or disconnect; a traceback for each would fill the log."""


class _QuietHandler(WSGIRequestHandler):
    timeout = TIMEOUT_S

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has there
        """Say nothing: it would be a line every few seconds."""


def application(health: Health = _FINE) -> WSGIApplication:
    """Return what answers the requests."""
    metrics: WSGIApplication = make_wsgi_app()  # pyright: ignore[reportUnknownVariableType] - not typed

    def respond(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        if path in {"/", "/metrics"}:
            return metrics(environ, start_response)
        question = {"/healthz": health.alive, "/readyz": health.ready}.get(path)
        if question is None:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"there are /metrics, /healthz and /readyz\n"]
        checks = question()
        fine = not any(checks.values())
        body = {"ok": fine, "checks": {name: problem or "ok" for name, problem in checks.items()}}
        start_response("200 OK" if fine else "503 Service Unavailable", [("Content-Type", "application/json")])
        return [msgspec.json.encode(body) + b"\n"]

    return respond


@contextmanager
def serve_metrics(port: int, host: str = LOOPBACK, *, health: Health = _FINE) -> Generator[int]:
    """Serve metrics and health for as long as the block runs; yields the port, which 0 lets the system choose.

    Raises:
        ConfigurationError: The port cannot be listened on.
    """
    try:
        server = make_server(host, port, application(health), _Server, _QuietHandler)
    except (OSError, OverflowError) as e:
        msg = f"cannot serve metrics on {host}:{port}: {e}; choose another port or address"
        raise ConfigurationError(msg) from e
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
