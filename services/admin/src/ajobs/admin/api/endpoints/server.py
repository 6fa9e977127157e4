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
from ajobs.client.storage.task_store import StoreInfo
from ajobs.protocol.durations import as_ns
from ajobs.protocol.errors import AjobsError
from ajobs.protocol.retry import RETRY_POLICIES
from ajobs.protocol.subjects import CONFIGURATION_BUCKET, TASKS_STREAM, bucket_stream
from ajobs.protocol.timestamps import format_timestamp

READY_S = 3.0
"""Timeout of a check in seconds."""

FEATURES = (
    "bulk", "cursors", "events", "idempotency", "leaders", "ndjson", "queue_configure", "queue_pause",
    "schedule_update", "task_wait", "workers",
)  # fmt: skip


async def healthz(_: Call) -> Response:
    """Report that the server is alive."""
    return Response(200, HealthResponse(status="ok", time=format_timestamp(time.time_ns())))


async def readyz(call: Call) -> Response:
    """Report whether the server is ready."""
    tasks, config = await asyncio.gather(
        _check(call.service, TASKS_STREAM), _check(call.service, bucket_stream(CONFIGURATION_BUCKET))
    )
    ready = tasks.ok and config.ok
    return Response(200 if ready else 503, ReadinessResponse(ready=ready, checks=Checks(tasks=tasks, config=config)))


async def _check(service: Service, stream: str) -> CheckStatus:
    try:
        service.check_connected()
        async with asyncio.timeout(READY_S):
            found = await service.client.storage.find_stream(stream)
    except TimeoutError:
        return CheckStatus(ok=False, error="NATS does not respond")
    except AjobsError as e:
        return CheckStatus(ok=False, error=str(e))
    return CheckStatus(ok=True) if found else CheckStatus(ok=False, error=f"stream {stream} does not exist")


async def info(call: Call) -> Response:
    """Return information about the server."""
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
    """Return the settings and the size of the task store."""
    return Response(200, _store(await call.service.client.store_info()))


async def configure_store(call: Call) -> Response:
    """Change the settings of the task store."""
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
    """List the leader of each election."""
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
        responses={200: Success("The server is alive.", HealthResponse)},
        needs_nats=False,
    ),
    Operation(
        method="GET",
        path="/readyz",
        name="getReadyz",
        tag="Meta",
        summary="Readiness probe. Checks NATS and the storage.",
        handler=readyz,
        scope=None,
        responses={
            200: Success("The server is ready.", ReadinessResponse),
            503: Success("The server is not ready.", ReadinessResponse),
        },
        needs_nats=False,
    ),
    Operation(
        method="GET",
        path="/v1/info",
        name="getInfo",
        tag="Meta",
        summary="Get server information.",
        handler=info,
        scope=Scope.READ,
        responses={200: Success("Information about the server.", Info)},
    ),
    Operation(
        method="GET",
        path="/v1/retry-policies",
        name="listRetryPolicies",
        tag="Meta",
        summary="List retry policies.",
        handler=retry_policies,
        scope=Scope.READ,
        responses={200: Success("Retry policies.", RetryPolicies)},
        needs_nats=False,
    ),
    Operation(
        method="GET",
        path="/v1/store",
        name="getStore",
        tag="Meta",
        summary="Get the settings and the size of the task store.",
        handler=store,
        scope=Scope.READ,
        responses={200: Success("The task store.", StoreDocument)},
    ),
    Operation(
        method="PATCH",
        path="/v1/store",
        name="configureStore",
        tag="Meta",
        summary="Change the settings of the task store.",
        handler=configure_store,
        scope=Scope.ADMIN,
        body=StoreChanges,
        reasons={"retention": "invalid_duration"},
        responses={200: Success("The changed task store.", StoreDocument)},
    ),
    Operation(
        method="GET",
        path="/v1/workers",
        name="listWorkers",
        tag="Meta",
        summary="List running workers.",
        handler=workers,
        scope=Scope.READ,
        responses={200: Success("Workers.", WorkerList)},
    ),
    Operation(
        method="GET",
        path="/v1/leaders",
        name="listLeaders",
        tag="Meta",
        summary="List the leaders of elections.",
        handler=leaders,
        scope=Scope.READ,
        responses={200: Success("Leaders.", Leaders)},
    ),
)
