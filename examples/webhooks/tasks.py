"""The handler that delivers webhooks."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec

from ajobs.client import Queue
from ajobs.protocol.retry import exponential_policy
from ajobs.worker import Context, RetryTask, Router, Task, TerminateTask

from .answers import check_answer
from .endpoints import Endpoints, load_endpoints
from .signature import secret_bytes, signed_headers

QUEUE = Queue(name="WEBHOOKS", max_run_time="1m")
"""Whoever comes first makes it."""
STEP_S = float(os.environ.get("WEBHOOK_TIMEOUT_S", "10"))
"""How long each of connecting, sending and waiting for the answer may take."""
TRY = timedelta(seconds=30)
"""How long all of it may take: a receiver that sends a byte now and then would keep each step alive."""

router = Router()

RETRIES = exponential_policy(first=1, longest="6h", factor=4)
"""About 1 s, 4 s, 16 s, ... up to six hours: 12 tries are spread over a day."""


class Event(msgspec.Struct):
    """Something that happened, for one endpoint."""

    endpoint: str
    type: str
    data: Any


@router.lifespan
async def endpoints() -> AsyncGenerator[Endpoints]:
    """Read who receives webhooks; a worker that cannot does not start."""
    yield load_endpoints()


@router.lifespan
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    """Keep connections for as long as the worker lives."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs each address, and some have a secret in them
    async with httpx.AsyncClient(timeout=STEP_S, headers={"user-agent": "ajobs-webhooks"}) as client:
        yield client


@router.handler("webhook:deliver", retry_policy=RETRIES, max_run_time=TRY)
async def deliver(event: Event, context: Context, endpoints: Endpoints, http: httpx.AsyncClient) -> int:
    """Deliver an event, and return the receiver's status."""
    endpoint = endpoints.get(event.endpoint)
    if endpoint is None:
        raise TerminateTask(f"there is no endpoint {event.endpoint!r}")
    body = body_of(event, context.task)
    # The id is the same in every try, so that the receiver knows one that it has seen. The time is that of this try.
    headers = signed_headers(secret_bytes(endpoint.secret), context.task.id, int(time.time()), body)
    headers["content-type"] = "application/json"
    try:
        # What the receiver has to say besides its status is not read, however long it is.
        async with http.stream("POST", endpoint.url, content=body, headers=headers) as response:
            check_answer(response.status_code, response.headers, datetime.now(UTC))
    except httpx.TransportError as e:  # not there, hung up, too slow, a wrong certificate
        raise RetryTask(f"{event.endpoint} cannot be reached: {type(e).__name__} {e}".rstrip()) from e
    context.logger.info("%s took %s", event.endpoint, event.type)
    return response.status_code


def body_of(event: Event, task: Task) -> bytes:
    """Return what is sent: the same bytes in every try."""
    return msgspec.json.encode({"type": event.type, "timestamp": task.created, "data": event.data})
