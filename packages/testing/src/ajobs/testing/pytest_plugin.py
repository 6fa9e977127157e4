"""Fixtures for pytest, there as soon as ``ajobs-testing`` is installed."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest_asyncio

from ajobs.testing.nats_server import NatsServer


@pytest_asyncio.fixture
async def nats_server() -> AsyncGenerator[NatsServer]:
    """Run a nats-server with JetStream and an empty store for one test."""
    async with NatsServer.run() as running:
        yield running
