"""Fixtures: each test that needs a server has a real one of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from asyncjobs.admin.dev.nats_server import NatsServer
from asyncjobs.client import Client, Queue
from tests.integration.api_servers import Api, api_server

QUEUE = Queue(name="Q", max_run_time_ns=60 * 10**9)


@pytest.fixture
async def server() -> AsyncGenerator[NatsServer]:
    async with NatsServer.run() as running:
        yield running


@pytest.fixture
async def client(server: NatsServer) -> AsyncGenerator[Client]:
    async with Client.connect(server.url, queue=QUEUE) as connected:
        yield connected


@pytest.fixture(autouse=True)
def no_settings_of_this_host(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the NATS contexts and variables of whoever runs the tests out of them."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
    for name in ("NATS_URL", "NATS_CONTEXT", "CONTEXT", "AJ_NATS_CONTEXT", "NATS_USER", "NATS_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def api(server: NatsServer, client: Client) -> AsyncGenerator[Api]:
    async with api_server(server) as running:
        yield running
