"""The monitoring port: silent and slow clients take bounded threads and never keep a probe out."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from urllib.request import urlopen

from ajobs.client.observability import exposition
from ajobs.client.observability.exposition import MAX_CONNECTIONS, serve_metrics


def test_silent_connections_take_a_bounded_number_of_threads():
    before = threading.active_count()
    with serve_metrics(0) as port, ExitStack() as stack:
        for _ in range(150):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as response:
            assert response.status == 200
        assert threading.active_count() <= before + 1 + MAX_CONNECTIONS


def test_a_silent_connection_is_closed(monkeypatch):
    monkeypatch.setattr(exposition._QuietHandler, "timeout", 0.1)
    with serve_metrics(0) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as silent:
        assert silent.recv(1) == b""
