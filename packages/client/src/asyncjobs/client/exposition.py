"""Serving the process's Prometheus metrics."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from prometheus_client import start_http_server

from asyncjobs.protocol.errors import ConfigurationError

LOOPBACK = "127.0.0.1"


@contextmanager
def serve_metrics(port: int, host: str = LOOPBACK) -> Generator[int]:
    """Serve metrics over HTTP for as long as the block runs; yields the port, which 0 lets the system choose.

    Raises:
        ConfigurationError: The port cannot be listened on.
    """
    try:
        server, thread = start_http_server(port, host)
    except OSError as e:
        msg = f"cannot serve metrics on {host}:{port}: {e.strerror}; choose another port"
        raise ConfigurationError(msg) from e
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
