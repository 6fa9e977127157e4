"""The application: finds the operation, lets in who may, reads what came, answers, and writes a line about it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.datastructures import Headers
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from ajobs.admin.api import metrics
from ajobs.admin.api.authentication import Authenticator
from ajobs.admin.api.errors import INTERNAL_ERROR, ApiError, http_error
from ajobs.admin.api.http_connection import ABORT
from ajobs.admin.api.operation import Call, Operation
from ajobs.admin.api.requests import Body, decode_body, decode_query, read_body
from ajobs.admin.api.responses import (
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
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import AjobsError
from ajobs.protocol.names import is_valid_name

COMMON = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}

_INVALID_NAMES = {
    "tasks": "task_id_invalid",
    "queues": "queue_name_invalid",
    "schedules": "schedule_invalid",
}
"""The reason of an error about the name in a path, by what it is the name of."""

access_log = logging.getLogger("ajobs.access")
logger = logging.getLogger("ajobs.api")


class Application:
    """Answers requests."""

    def __init__(self, service: Service, access: Authenticator, operations: Sequence[Operation]) -> None:
        """Serve ``operations``."""
        self._service = service
        self._access = access
        options = service.options
        self._limits = Body(options.max_body, options.read_timeout_ns / SECOND_NS)
        # A path without parameters goes first: /v1/tasks/retry is no task's id.
        ordered = sorted(operations, key=lambda operation: len(operation.parameters))
        self._routes = [(Route(each.path, _endpoint, methods=[each.method]), each) for each in ordered]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        began = time.monotonic()
        seen = _Seen(send)
        metrics.IN_PROGRESS.inc()
        try:
            await self._respond(scope, receive, seen)
        except ClientDisconnectedError:
            pass
        finally:
            metrics.IN_PROGRESS.dec()
            self._note(scope, seen, time.monotonic() - began)

    async def _respond(self, scope: Scope, receive: Receive, seen: _Seen) -> None:
        try:
            answer = await self._answer(scope, receive, seen)
            if isinstance(answer, StreamingResponse):
                if scope["method"] != "HEAD":
                    await self._stream(answer, receive, seen)
                    return
                await answer.pieces.aclose()
                answer = Response(200, headers={"Content-Type": answer.content_type})
        except AjobsError as e:
            if seen.status:
                logger.warning("an answer was broken off: %s", e)
                await _break_off(scope)
                return
            answer = error_response(http_error(e))
        except ClientDisconnectedError:
            raise
        except Exception:
            logger.exception("%s %s failed", scope["method"], seen.route or "")
            if seen.status:
                await _break_off(scope)
                return
            answer = error_response(INTERNAL_ERROR)
        await send_response(answer, seen, COMMON)

    async def _stream(self, streamed: StreamingResponse, receive: Receive, seen: _Seen) -> None:
        gauge = metrics.STREAMS.labels(seen.route)
        seen.lasting = streamed.lasting
        gauge.inc()
        try:
            await send_stream(streamed, receive, seen, COMMON)
        finally:
            gauge.dec()

    async def _answer(self, scope: Scope, receive: Receive, seen: _Seen) -> Response | StreamingResponse:
        operation, path = self._find(scope)
        seen.route = operation.path
        headers = Headers(scope=scope)
        if operation.scope is not None:
            seen.owner = self._access.check(headers, _address(scope), operation.scope)
        if operation.method != "GET":
            _check_origin(headers)
        for name, value in path.items():
            _check_path(operation, name, value)
        query = decode_query(scope["query_string"], operation.query, operation.reasons)
        body, raw = None, b""
        if operation.body is not None:
            raw = await read_body(headers, receive, self._limits)
            body = decode_body(raw, operation.body, operation.reasons)
        if operation.needs_nats:
            self._service.check_connected()
        call = Call(self._service, path, query, body, raw, headers, seen.owner)
        if operation.waits:
            return await until_disconnected(operation.handler(call), receive)
        return await operation.handler(call)

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
                f"{scope['method']} is no method of this path: use {methods}",
                reason="method_not_allowed", status=405, headers={"Allow": methods},
            )  # fmt: skip
        raise ApiError("there is no such path: /docs shows what there is", code="not_found", reason="path_not_found")

    def _note(self, scope: Scope, seen: _Seen, duration_s: float) -> None:
        route, method = seen.route or "none", scope["method"] if seen.route else "none"
        labelled(metrics.REQUESTS, method, route, str(seen.status)).inc()
        if not seen.lasting:
            labelled(metrics.SECONDS, method, route).observe(duration_s)
        # Neither the query nor headers or bodies, which may have what is nobody's business.
        access_log.info(
            "request",
            extra={
                "method": scope["method"],
                "path": scope["path"][:500],
                "status": seen.status,
                "duration_s": duration_s,
                "bytes": seen.size,
                "client": _address(scope),
                "token": seen.owner or "-",
            },
        )


class _Seen:
    """What was sent so far, and on what."""

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


async def _break_off(scope: Scope) -> None:
    """End the connection without an answer's end, so that the client sees that something is missing."""
    scope["extensions"][ABORT]["abort"]()
    # The connection learns of its end in the next round of the loop, and the server library asks it after that.
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def _endpoint() -> None:
    """Stand for an operation in a route, which only finds it."""


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else "-"


def _check_path(operation: Operation, name: str, value: str) -> None:
    if is_valid_name(value) and len(value) <= MAX_NAME:
        return
    reason = _INVALID_NAMES.get(operation.path.split("/")[2], "name_invalid")
    raise ApiError(
        f"{name} {value[:MAX_NAME]!r} is invalid: use up to {MAX_NAME} letters, digits, '_', ':' and '-'",
        reason=reason, field=name,
    )  # fmt: skip


def _check_origin(headers: Headers) -> None:
    """Refuse what a page of another site makes a browser send."""
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != headers.get("host"):
        raise ApiError("pages of other sites may not change anything here", code="forbidden", reason="cross_origin")
