"""Each operation of the HTTP API with made-up requests: what it answers is what its OpenAPI document says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from ajobs.admin.api.openapi import describe
from ajobs.admin.api.operations import OPERATIONS
from ajobs.admin.api.options import ServerOptions
from ajobs.admin.api.server import serving
from ajobs.client import Client
from ajobs.testing.nats_server import NatsServer
from services.admin.tests.integration.api_servers import ANY_PORT

load_all_checks()

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    negative_data_rejection,
    missing_required_header,
    unsupported_method,
]
EXAMPLES = 40
KNOWN = 40
"""How many tasks, queues and schedules there are that made-up requests find."""


class ServerThread(threading.Thread):
    """A nats-server and an HTTP server with a loop of their own: the requests are made without one."""

    def __init__(self) -> None:
        super().__init__(name="HTTP server")
        self.ready = threading.Event()
        self.url = ""

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self.loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        async with NatsServer.run() as nats, Client.connect(nats.url, queue="known-0") as client:
            for number in range(KNOWN):
                name = f"known-{number}"
                await client.ensure_queue(type(client.queue)(name=name))
                await client.enqueue("t", {"n": number}, task_id=name)
                await client.schedules.create(name, "@daily", "t", queue=name)
            async with serving(nats.url, {}, ServerOptions(bind=ANY_PORT, queue="known-0")) as running:
                self.url = running.url
                self.ready.set()
                await self._end.wait()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._end.set)
        self.join()


@pytest.fixture(scope="module")
def served() -> Generator[str]:
    thread = ServerThread()
    thread.start()
    assert thread.ready.wait(60)
    yield thread.url
    thread.stop()


# A stream of events has no end.
schema = schemathesis.openapi.from_dict(describe(OPERATIONS)).exclude(operation_id="watchEvents")


@schema.hook
def map_path_parameters(_context, path_parameters):
    """Have half of the names be of something that is there."""
    if not path_parameters:
        return path_parameters
    return {
        name: f"known-{len(str(value)) * 7 % KNOWN}" if len(str(value)) % 2 else value
        for name, value in path_parameters.items()
    }


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_responses_match_the_openapi_document(served, case):
    case.call_and_validate(base_url=served, checks=CHECKS, timeout=60)
