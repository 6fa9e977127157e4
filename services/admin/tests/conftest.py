"""Fixtures for the tests of the admin service."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from ajobs.client import Client
from ajobs.testing.nats_server import NatsServer
from services.admin.tests.integration.api_servers import Api, api_server


@pytest.fixture
async def api(server: NatsServer, client: Client) -> AsyncGenerator[Api]:
    async with api_server(server) as running:
        yield running
