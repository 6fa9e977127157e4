"""The ASGI application: find the operation, authenticate, read the request, respond, and log the request."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any
from urllib.parse import urlsplit

from msgspec import UNSET
from starlette.datastructures import Headers
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from ajobs.admin.api import metrics
from ajobs.admin.api.authentication import Authenticator
from ajobs.admin.api.errors import INTERNAL_ERROR, ApiError, http_error
from ajobs.admin.api.http_connection import ABORT
from ajobs.admin.api.operation import Call, Operation
from ajobs.admin.api.options import Address
from ajobs.admin.api.requests import Body, BodyBudget, decode_body, decode_query, read_body
from ajobs.admin.api.responses import (
    JSON,
    ClientDisconnectedError,
    Response,
    StreamingResponse,
    error_response,
    send_response,
    send_stream,
    until_disconnected,
)
from ajobs.admin.api.schemas.types import MAX_NAME
from ajobs.admin.api.service import Service
from ajobs.client.observability.metrics import labelled
from ajobs.protocol.errors import AjobsError
from ajobs.protocol.names import is_valid_name

LARGE_BODIES = 64
"""Bodies of the maximum size that fit into the memory for bodies."""

COMMON = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}

_INVALID_NAMES = {
    "tasks": "task_id_invalid",
    "queues": "queue_name_invalid",
    "schedules": "schedule_invalid",
}
"""The reason of an error about a name in the path, by the second segment of the path."""

access_log = logging.getLogger("ajobs.access")
logger = logging.getLogger("ajobs.api")


class Application:
    """Responds to requests."""

    def __init__(self, service: Service, access: Authenticator, operations: Sequence[Operation]) -> None:
        """Serve ``operations``."""
        self._service = service
        self._access = access
        options = service.options
        self._limits = Body(options.max_body, options.read_timeout.total_seconds())
        self._streams = 0
        self._bodies = BodyBudget(options.max_body * LARGE_BODIES)
        # Fixed paths come first, so that the last part of /v1/tasks/retry is not taken for a task id.
        ordered = sorted(operations, key=lambda operation: len(operation.parameters))
        self._routes = [(Route(each.path, _endpoint, methods=[each.method]), each) for each in ordered]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request."""
        if scope["type"] != "http":
            return
        began = time.monotonic()
        sender = _Sender(send)
        metrics.IN_PROGRESS.inc()
        try:
            await self._respond(scope, receive, sender)
        except ClientDisconnectedError:
            pass
        finally:
            metrics.IN_PROGRESS.dec()
            self._log(scope, sender, time.monotonic() - began)

    async def _respond(self, scope: Scope, receive: Receive, sender: _Sender) -> None:
        try:
            response = await self._call(scope, receive, sender)
            if isinstance(response, StreamingResponse):
                if scope["method"] != "HEAD":
                    try:
                        with nullcontext() if response.content_type == JSON else self._counted():
                            await self._stream(response, receive, sender)
                    finally:
                        await response.chunks.aclose()
                    return
                await response.chunks.aclose()
                response = Response(200, headers={"Content-Type": response.content_type})
        except AjobsError as e:
            if sender.status:
                logger.warning("response aborted: %s", e)
                await _abort(scope)
                return
            response = error_response(http_error(e))
        except ClientDisconnectedError:
            raise
        except Exception:
            logger.exception("%s %s failed", scope["method"], sender.route or "")
            if sender.status:
                await _abort(scope)
                return
            response = error_response(INTERNAL_ERROR)
        await send_response(response, sender, COMMON)

    async def _stream(self, response: StreamingResponse, receive: Receive, sender: _Sender) -> None:
        gauge = metrics.STREAMS.labels(sender.route)
        sender.lasting = response.lasting
        gauge.inc()
        try:
            await send_stream(response, receive, sender, COMMON)
        finally:
            gauge.dec()

    async def _call(self, scope: Scope, receive: Receive, sender: _Sender) -> Response | StreamingResponse:
        operation, path = self._find(scope)
        sender.route = operation.path
        headers = Headers(scope=scope)
        _check_host(scope, headers)
        if operation.scope is not None:
            if self._service.options.expects_loopback_host:
                _check_loopback(headers)
            sender.owner = self._access.check(headers, _address(scope), operation.scope)
        if operation.method != "GET":
            _check_origin(headers)
        for name, value in path.items():
            _check_path(operation, name, value)
        query = decode_query(scope["query_string"], operation.query, operation.reasons)
        body, raw = None, b""
        if operation.body is not None:
            raw = await read_body(headers, receive, self._limits, self._bodies)
            body = decode_body(raw, operation.body, operation.reasons)
        if operation.needs_nats:
            self._service.check_connected()
        call = Call(self._service, path, query, body, raw, headers, sender.owner)
        if operation.waits:
            with nullcontext() if getattr(query, "wait", UNSET) is UNSET else self._counted():
                return await until_disconnected(operation.handler(call), receive)
        return await operation.handler(call)

    @contextmanager
    def _counted(self) -> Generator[None]:
        """Count a stream or a wait, which may last, and refuse it beyond the limit."""
        if self._streams >= self._service.options.max_streams:
            raise ApiError(
                f"{self._streams} streams and waits are open: try again in a moment, or run the server with a larger "
                "--max-streams",
                code="unavailable", reason="streams_too_many", headers={"Retry-After": "1"},
            )  # fmt: skip
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    def _find(self, scope: Scope) -> tuple[Operation, Mapping[str, str]]:
        wanted: dict[str, Any] = {**scope, "method": "GET"} if scope["method"] == "HEAD" else dict(scope)
        allowed: set[str] = set()
        for route, operation in self._routes:
            match, found = route.matches(wanted)
            if match is Match.FULL:
                return operation, found["path_params"]
            if match is Match.PARTIAL:
                allowed |= {operation.method} | ({"HEAD"} if operation.method == "GET" else set())
        if allowed:
            methods = ", ".join(sorted(allowed))
            raise ApiError(
                f"method {scope['method'][:20]} is not allowed for this path: use {methods}",
                reason="method_not_allowed", status=405, headers={"Allow": methods},
            )  # fmt: skip
        raise ApiError("no such path: see /docs for the API", code="not_found", reason="path_not_found")

    def _log(self, scope: Scope, sender: _Sender, duration_s: float) -> None:
        route, method = sender.route or "none", scope["method"] if sender.route else "none"
        labelled(metrics.REQUESTS, method, route, str(sender.status)).inc()
        if not sender.lasting:
            labelled(metrics.SECONDS, method, route).observe(duration_s)
        # Never log queries, headers or bodies: they may hold secrets and personal data.
        access_log.info(
            "request",
            extra={
                "method": scope["method"],
                "path": scope["path"][:500],
                "status": sender.status,
                "duration_s": duration_s,
                "bytes": sender.size,
                "client": _address(scope),
                "token": sender.owner or "-",
            },
        )


class _Sender:
    """Passes on the messages of a response and records its status and size."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.size = 0
        self.route: str | None = None
        self.owner = ""
        self.lasting = False

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.size += len(message.get("body", b""))
        await self._send(message)


async def _abort(scope: Scope) -> None:
    """Abort the connection without a last chunk, so that the client notices that the response is incomplete."""
    scope["extensions"][ABORT]["abort"]()
    # The protocol learns of the abort in the next iteration of the loop, and uvicorn checks it after that.
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def _endpoint() -> None:
    """Serve as the endpoint of a route. The routes are used for matching only."""


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else "-"


def _check_path(operation: Operation, name: str, value: str) -> None:
    if is_valid_name(value) and len(value) <= MAX_NAME:
        return
    reason = _INVALID_NAMES.get(operation.path.split("/")[2], "name_invalid")
    raise ApiError(
        f"invalid {name} {value[:MAX_NAME]!r}: use up to {MAX_NAME} letters, digits, '_', ':' and '-'",
        reason=reason, field=name,
    )  # fmt: skip


def _check_host(scope: Scope, headers: Headers) -> None:
    """Refuse a request whose host is missing or ambiguous. HTTP/1.0 has no such header."""
    hosts = headers.getlist("host")
    if len(hosts) > 1 or (not hosts and scope["http_version"] != "1.0"):
        raise ApiError(
            f"{len(hosts)} Host headers: send exactly one", reason="host_invalid", field="Host",
            headers={"Connection": "close"},
        )  # fmt: skip


def _check_loopback(headers: Headers) -> None:
    """Refuse a foreign host name, which a page of another site may have pointed at this machine (DNS rebinding)."""
    host = headers.get("host", "localhost")
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        name = ""
    if not Address(name, 0).is_loopback:
        raise ApiError(
            f"host {host[:MAX_NAME]!r} refused: without authentication, use a loopback address such as 127.0.0.1, or "
            "run the server with --token-file",
            code="forbidden", reason="host_forbidden", field="Host",
        )  # fmt: skip


def _check_origin(headers: Headers) -> None:
    """Refuse a request that a browser sends for a page of another origin."""
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != headers.get("host"):
        raise ApiError(
            "cross-origin request refused: writes are accepted from this origin only",
            code="forbidden", reason="cross_origin",
        )  # fmt: skip
