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
"""Created by the first program that uses it."""
TIMEOUT_S = float(os.environ.get("WEBHOOK_TIMEOUT_S", "10"))
"""Seconds that each of connecting, sending and waiting for the response may take."""
MAX_RUN_TIME = timedelta(seconds=30)
"""The time for a whole delivery. Without it, a receiver that sends a byte now and then could hold a slot forever."""

router = Router()

RETRIES = exponential_policy(first=1, longest="6h", factor=4)
"""About 1 s, 4 s, 16 s, ... up to six hours, so that 12 tries are spread over a day."""


class Event(msgspec.Struct):
    """Something that happened, for one endpoint."""

    endpoint: str
    type: str
    data: Any


@router.lifespan
async def endpoints() -> AsyncGenerator[Endpoints]:
    """Load the endpoints. A worker that cannot load them does not start."""
    yield load_endpoints()


@router.lifespan
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    """Keep connections open while the worker runs."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs each URL, and some URLs contain a secret
    async with httpx.AsyncClient(timeout=TIMEOUT_S, headers={"user-agent": "ajobs-webhooks"}) as client:
        yield client


@router.handler("webhook:deliver", retry_policy=RETRIES, max_run_time=MAX_RUN_TIME)
async def deliver(event: Event, context: Context, endpoints: Endpoints, http: httpx.AsyncClient) -> int:
    """Deliver an event and return the receiver's status."""
    endpoint = endpoints.get(event.endpoint)
    if endpoint is None:
        raise TerminateTask(f"unknown endpoint {event.endpoint!r}")
    body = body_of(event, context.task)
    # The id is the same in every try, so that the receiver can detect duplicates. The time is that of this try.
    headers = signed_headers(secret_bytes(endpoint.secret), context.task.id, int(time.time()), body)
    headers["content-type"] = "application/json"
    try:
        # The body of the response is not read, because it may be of any length.
        async with http.stream("POST", endpoint.url, content=body, headers=headers) as response:
            check_answer(response.status_code, response.headers, datetime.now(UTC))
    except httpx.TransportError as e:  # unreachable, disconnected, too slow, or an invalid certificate
        raise RetryTask(f"cannot reach {event.endpoint}: {type(e).__name__} {e}".rstrip()) from e
    context.logger.info("%s accepted %s", event.endpoint, event.type)
    return response.status_code


def body_of(event: Event, task: Task) -> bytes:
    """Return the body of the request. It is the same in every try."""
    return msgspec.json.encode({"type": event.type, "timestamp": task.created, "data": event.data})
