"""The table of all operations, including metrics, the OpenAPI document and the page at ``/docs``."""

from __future__ import annotations

import asyncio
import re
from functools import cache, lru_cache

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ajobs.admin.api.docs_page import Target, render_page
from ajobs.admin.api.endpoints import bulk, events, queues, schedules, server, task_lists, tasks
from ajobs.admin.api.openapi import describe
from ajobs.admin.api.operation import Call, Operation, Success
from ajobs.admin.api.responses import Response
from ajobs.admin.api.tokens import Scope

HTML = "text/html; charset=utf-8"
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
}

# The Host header becomes part of a command to copy, so it may hold nothing that a shell would interpret.
_is_host = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?").fullmatch


async def metrics(_: Call) -> Response:
    """Return the metrics of this process."""
    return Response(200, await asyncio.to_thread(generate_latest), content_type=CONTENT_TYPE_LATEST)


@cache
def document() -> bytes:
    """Return the OpenAPI document."""
    return msgspec.json.format(msgspec.json.encode(describe(OPERATIONS)), indent=2)


@lru_cache(maxsize=16)
def page(target: Target) -> bytes:
    """Return the page at ``/docs``."""
    return render_page(describe(OPERATIONS), target).encode()


async def openapi(_: Call) -> Response:
    """Return the OpenAPI document."""
    return Response(200, await asyncio.to_thread(document))


async def docs(call: Call) -> Response:
    """Return the page at ``/docs``, with examples that address the server as the reader does."""
    options = call.service.options
    host = call.headers.get("host", "")
    address = host if _is_host(host) else str(options.bind)
    target = Target(
        f"{'http' if options.tls_cert is None else 'https'}://{address}",
        token=options.token_file is not None,
        certificate=options.tls_client_ca is not None,
    )
    return Response(200, await asyncio.to_thread(page, target), PAGE_HEADERS, HTML)


_OWN = (
    Operation(
        method="GET",
        path="/metrics",
        name="getMetrics",
        tag="Meta",
        summary="Prometheus metrics of this process.",
        handler=metrics,
        scope=Scope.READ,
        responses={200: Success("Metrics.", content_types={"text/plain": str})},
        needs_nats=False,
    ),
    Operation(
        method="GET",
        path="/v1/openapi.json",
        name="getOpenapi",
        tag="Meta",
        summary="This OpenAPI document.",
        handler=openapi,
        scope=None,
        responses={200: Success("OpenAPI 3.1.", dict)},
        needs_nats=False,
    ),
    Operation(
        method="GET",
        path="/docs",
        name="getDocs",
        tag="Meta",
        summary="This document as a page to read.",
        handler=docs,
        scope=None,
        responses={200: Success("A page without scripts or external resources.", content_types={"text/html": str})},
        needs_nats=False,
    ),
)

OPERATIONS: tuple[Operation, ...] = (
    *task_lists.OPERATIONS,
    *tasks.OPERATIONS,
    *bulk.OPERATIONS,
    *queues.OPERATIONS,
    *schedules.OPERATIONS,
    *events.OPERATIONS,
    *server.OPERATIONS,
    *_OWN,
)
"""All operations, in the order of the OpenAPI document."""
