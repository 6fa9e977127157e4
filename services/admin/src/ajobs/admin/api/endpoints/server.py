"""The server itself: health, information, the task store, workers, leaders."""

from __future__ import annotations

import asyncio
import time
from importlib.metadata import version as version_of

import msgspec
from msgspec import UNSET

from ajobs.admin.api.operation import Call, Operation, Success
from ajobs.admin.api.parsing import span
from ajobs.admin.api.responses import Response
from ajobs.admin.api.schemas.server import (
    Checks,
    CheckStatus,
    HealthResponse,
    Info,
    Leaders,
    ReadinessResponse,
    RetryPolicies,
    RetryPolicyDocument,
    StoreChanges,
    StoreDocument,
    WorkerList,
)
from ajobs.admin.api.service import Service
from ajobs.admin.api.tokens import Scope
from ajobs.client.storage.provision import find_stream
from ajobs.client.storage.task_store import StoreInfo
from ajobs.protocol.durations import as_ns
from ajobs.protocol.errors import AjobsError
from ajobs.protocol.retry import RETRY_POLICIES
from ajobs.protocol.subjects import CONFIGURATION_BUCKET, TASKS_STREAM
from ajobs.protocol.timestamps import format_timestamp

READY_S = 3.0
"""Seconds that a check may take."""

FEATURES = (
    "bulk", "cursors", "events", "idempotency", "leaders", "ndjson", "queue_configure", "queue_pause",
    "schedule_update", "task_wait", "workers",
)  # fmt: skip


async def healthz(_: Call) -> Response:
    """Say that the server lives."""
    return Response(200, HealthResponse(status="ok", time=format_timestamp(time.time_ns())))


async def readyz(call: Call) -> Response:
    """Say whether the server can do its work."""
    tasks, config = await asyncio.gather(
        _check(call.service, TASKS_STREAM), _check(call.service, f"KV_{CONFIGURATION_BUCKET}")
    )
    ready = tasks.ok and config.ok
    return Response(200 if ready else 503, ReadinessResponse(ready=ready, checks=Checks(tasks=tasks, config=config)))


async def _check(service: Service, stream: str) -> CheckStatus:
    try:
        service.check_connected()
        async with asyncio.timeout(READY_S):
            found = await find_stream(service.client.storage.jetstream, stream)
    except TimeoutError:
        return CheckStatus(ok=False, error="NATS does not answer")
    except AjobsError as e:
        return CheckStatus(ok=False, error=str(e))
    return CheckStatus(ok=True) if found else CheckStatus(ok=False, error=f"stream {stream} does not exist")


async def info(call: Call) -> Response:
    """Describe the server."""
    client = call.service.client
    names, store = await asyncio.gather(client.storage.queues.names(), client.store_info())
    document = Info(
        version=version_of("ajobs-admin"),
        auth=call.service.options.auth,  # pyright: ignore[reportArgumentType] - one of these
        queue_count=len(names),
        task_count=store.tasks,
        default_queue=client.queue.name,
        features=dict.fromkeys(FEATURES, True),
    )
    return Response(200, document)


async def retry_policies(_: Call) -> Response:
    """List retry policies."""
    policies = [
        RetryPolicyDocument(name=name, intervals=list(map(as_ns, policy.intervals)), jitter=policy.jitter)
        for name, policy in RETRY_POLICIES.items()
    ]
    return Response(200, RetryPolicies(policies=policies))


async def store(call: Call) -> Response:
    """Describe the task store."""
    return Response(200, _store(await call.service.client.store_info()))


async def configure_store(call: Call) -> Response:
    """Change the task store."""
    changes: StoreChanges = call.body
    changed = await call.service.client.configure_store(
        retention=None if changes.retention is UNSET else span("retention", changes.retention),
        replicas=None if changes.replicas is UNSET else changes.replicas,
    )
    return Response(200, _store(changed))


def _store(found: StoreInfo) -> StoreDocument:
    return StoreDocument(
        tasks=found.tasks,
        size_bytes=found.size_bytes,
        replicas=found.replicas,
        memory=found.memory,
        retention=as_ns(found.retention),
        created=found.created,
    )


async def workers(call: Call) -> Response:
    """List workers."""
    found = await call.service.client.workers()
    return Response(200, WorkerList(workers=[msgspec.to_builtins(worker) for worker in found]))


async def leaders(call: Call) -> Response:
    """Tell who leads."""
    return Response(200, Leaders(leaders=await call.service.client.leaders()))


OPERATIONS = (
    Operation(
        method="GET",
        path="/healthz",
        name="getHealthz",
        tag="Meta",
        summary="Liveness probe.",
        handler=healthz,
        scope=None,
        answers={200: Success("The server lives.", HealthResponse)},
        needs_nats=False,
    ),
    Operation(
        method="GET",
        path="/readyz",
        name="getReadyz",
        tag="Meta",
        summary="Readiness probe with dependency checks.",
        handler=readyz,
        scope=None,
        answers={200: Success("It is ready.", ReadinessResponse), 503: Success("It is not.", ReadinessResponse)},
        needs_nats=False,
    ),
    Operation(
        method="GET",
        path="/v1/info",
        name="getInfo",
        tag="Meta",
        summary="Server and storage snapshot.",
        handler=info,
        scope=Scope.READ,
        answers={200: Success("The server.", Info)},
    ),
    Operation(
        method="GET",
        path="/v1/retry-policies",
        name="listRetryPolicies",
        tag="Meta",
        summary="List named retry policies.",
        handler=retry_policies,
        scope=Scope.READ,
        answers={200: Success("Retry policies.", RetryPolicies)},
        needs_nats=False,
    ),
    Operation(
        method="GET",
        path="/v1/store",
        name="getStore",
        tag="Meta",
        summary="The task store's settings and size.",
        handler=store,
        scope=Scope.READ,
        answers={200: Success("The task store.", StoreDocument)},
    ),
    Operation(
        method="PATCH",
        path="/v1/store",
        name="configureStore",
        tag="Meta",
        summary="Change the task store's settings.",
        handler=configure_store,
        scope=Scope.ADMIN,
        body=StoreChanges,
        reasons={"retention": "invalid_duration"},
        answers={200: Success("The task store as it is then.", StoreDocument)},
    ),
    Operation(
        method="GET",
        path="/v1/workers",
        name="listWorkers",
        tag="Meta",
        summary="The workers that live.",
        handler=workers,
        scope=Scope.READ,
        answers={200: Success("Workers.", WorkerList)},
    ),
    Operation(
        method="GET",
        path="/v1/leaders",
        name="listLeaders",
        tag="Meta",
        summary="Who leads each election.",
        handler=leaders,
        scope=Scope.READ,
        answers={200: Success("Leaders.", Leaders)},
    ),
)
