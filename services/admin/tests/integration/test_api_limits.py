"""The limits of the HTTP server: slow and hostile clients take bounded memory and never keep honest clients out."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager

import pytest

from services.admin.tests.integration.api_servers import Api, api_server, problem

HOSTILE = 500
LIMIT = 100
HEAD = b"POST /v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
ATTACKS = {
    "silent": b"",
    "half a head": b"GET /v1/tasks HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"x" * 60_000,
    "half a body": HEAD + b"Content-Length: 500000\r\n\r\n" + b" " * 200_000,
    "half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffff\r\n" + b" " * 200_000,
    "idle": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


async def connected(api: Api):
    return await asyncio.open_connection(api.server.address.host, api.server.address.port)


@asynccontextmanager
async def attack(api: Api, data: bytes, count: int):
    """Open connections that send data and then stay open."""
    writers = []
    try:
        for _ in range(count):
            _, writer = await connected(api)
            writer.write(data)
            writers.append(writer)
            await asyncio.sleep(0)
        yield
    finally:
        for writer in writers:
            writer.transport.abort()


@pytest.mark.parametrize("data", ATTACKS.values(), ids=ATTACKS)
async def test_hostile_clients_do_not_keep_others_out(server, client, data):
    async with api_server(server, max_connections=LIMIT) as api, attack(api, data, HOSTILE):
        assert api.server.connections <= LIMIT
        assert (await api.get("/v1/tasks")).status_code == 200
        assert (await api.post("/v1/tasks", {"type": "t"})).status_code == 201
        assert api.server.connections <= LIMIT


async def test_bodies_that_are_arriving_share_bounded_memory(server, client):
    async with api_server(server, max_body=100_000) as api:
        body = HEAD + b"Content-Length: 99999\r\n\r\n" + b" " * 90_000
        readers = []
        async with asyncio.timeout(30), contextlib.AsyncExitStack() as stack:
            for _ in range(120):
                reader, writer = await connected(api)
                stack.callback(writer.close)
                writer.write(body)
                readers.append(asyncio.ensure_future(reader.readline()))
            # 64 bodies of the maximum size fit, without the first 16 KiB of each: 86 of these.
            while sum(each.done() for each in readers) < 34:
                await asyncio.sleep(0.01)
            refused = [each.result() for each in readers if each.done()]
            assert set(refused) == {b"HTTP/1.1 503 Service Unavailable\r\n"}
            assert (await api.post("/v1/tasks", {"type": "t"})).status_code == 201
        for each in readers:
            each.cancel()
        big = {"type": "t", "payload": "x" * 90_000}
        async with asyncio.timeout(30):
            while (await api.post("/v1/tasks", big)).status_code != 201:  # until the aborted bodies are given back
                await asyncio.sleep(0.01)


async def test_a_server_full_of_requests_refuses_more(server, client):
    async with api_server(server, max_connections=2, max_streams=2) as api, contextlib.AsyncExitStack() as stack:
        for _ in range(2):
            response = await stack.enter_async_context(api.http.stream("GET", "/v1/events"))
            assert response.status_code == 200
        reader, writer = await connected(api)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"connections_too_many" in answer
        writer.close()


async def test_streams_and_waits_have_a_limit(server, client):
    task = await client.enqueue("t")
    async with api_server(server, max_streams=2) as api:
        async with api.http.stream("GET", "/v1/events"):
            waiting = asyncio.create_task(api.get(f"/v1/tasks/{task.id}?wait=10m"))
            async with asyncio.timeout(10):
                while not api.server.service.events._waiting:
                    await asyncio.sleep(0.01)
            for path in ("/v1/events", "/v1/tasks?stream=ndjson", f"/v1/tasks/{task.id}/result?wait=1s"):
                assert problem(await api.get(path)) == (503, "unavailable", "streams_too_many")
            assert (await api.get("/v1/tasks")).status_code == 200
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        async with asyncio.timeout(10):
            while (await api.get("/v1/tasks?stream=ndjson")).status_code != 200:
                await asyncio.sleep(0.01)


async def test_requests_sent_ahead_have_a_limit(api):
    reader, writer = await connected(api)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2_000)
    with contextlib.suppress(ConnectionError):
        assert (await reader.read()).count(b"HTTP/1.1 200") <= 17
    writer.close()


async def test_a_few_requests_sent_ahead_are_served_in_order(api):
    reader, writer = await connected(api)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 9)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).count(b"HTTP/1.1 200") == 10
    writer.close()
