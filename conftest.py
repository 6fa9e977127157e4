"""Fixtures for the tests of every member. `nats_server` comes from `ajobs.testing`."""

from __future__ import annotations

import signal
from collections.abc import AsyncGenerator

import hypothesis
import pytest

from ajobs.client import Client, Queue
from ajobs.testing.nats_server import NatsServer

# A deadline is an assertion about time, which fails on a busy machine.
hypothesis.settings.register_profile("without deadlines", deadline=None)
hypothesis.settings.load_profile("without deadlines")

# A shell that starts the tests in the background ignores SIGINT for them, and programs under test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

QUEUE = Queue(name="Q", max_run_time="1m")


@pytest.fixture
def server(nats_server: NatsServer) -> NatsServer:
    """Give the fixture of the test kit a shorter name."""
    return nats_server


@pytest.fixture
async def client(server: NatsServer) -> AsyncGenerator[Client]:
    """Connect a client whose queue is ``Q``."""
    async with Client.connect(server.url, queue=QUEUE) as connected:
        yield connected


@pytest.fixture(autouse=True)
def no_settings_of_this_host(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Isolate tests from the NATS contexts and variables of the user who runs them."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
    for name in ("NATS_URL", "NATS_CONTEXT", "CONTEXT", "AJ_NATS_CONTEXT", "NATS_USER", "NATS_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
