"""HTTP servers for tests: in this process, on a port of their own, each with a client for it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx

from ajobs.admin.api.options import Address, ServerOptions
from ajobs.admin.api.server import RunningServer, serving
from ajobs.client.settings import Settings
from ajobs.testing.nats_server import NatsServer

ANY_PORT = Address("127.0.0.1", 0)


class Api(NamedTuple):
    """A server, and a client for it."""

    server: RunningServer
    http: httpx.AsyncClient

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.http.get(path, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return await self.http.post(path, **({} if body is None else {"json": body}), **more)

    async def patch(self, path: str, body: Any) -> httpx.Response:
        return await self.http.patch(path, json=body)

    async def delete(self, path: str) -> httpx.Response:
        return await self.http.delete(path)


@asynccontextmanager
async def api_server(
    nats: NatsServer, *, settings: Settings | None = None, make: bool = True, **options: Any
) -> AsyncGenerator[Api]:
    """Serve over a nats-server; ``options`` are those of the server."""
    wanted = ServerOptions(**{"bind": ANY_PORT, "queue": "Q", **options})
    async with serving(nats.url, settings or {}, wanted, make=make) as running, http_client(running.url) as http:
        yield Api(running, http)


@asynccontextmanager
async def http_client(
    url: str, context: ssl.SSLContext | bool = True, **more: Any
) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, timeout=30, verify=context, **more) as http:
        yield http


def problem(response: httpx.Response) -> tuple[int, str, str | None]:
    """Return an error's status, code and reason."""
    error = response.json()["error"]
    assert set(error) <= {"code", "message", "details"}
    assert set(error.get("details", {})) <= {"field", "reason"}
    assert error["message"]
    return response.status_code, error["code"], error.get("details", {}).get("reason")
