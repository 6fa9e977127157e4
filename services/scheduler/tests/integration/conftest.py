"""A client of a server with fast elections."""

from __future__ import annotations

import pytest

from ajobs.client import Client
from services.scheduler.tests.integration.kit import QUEUE, quick_elections


@pytest.fixture
async def client(server):
    """Connect a client to a server whose elections take 2 seconds instead of 10."""
    async with Client.connect(server.url, queue=QUEUE, request_timeout=1) as connected:
        await quick_elections(connected)
        yield connected
