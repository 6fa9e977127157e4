"""Endpoints for queues: create, get, change, pause, purge, delete."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from ajobs.admin.api.conversion import queue_document
from ajobs.admin.api.errors import ApiError
from ajobs.admin.api.operation import Call, Operation, Success
from ajobs.admin.api.parsing import span
from ajobs.admin.api.responses import Response
from ajobs.admin.api.schemas.queries import PauseQuery
from ajobs.admin.api.schemas.queues import QueueChanges, QueueCreateRequest, QueueInfoDocument, QueueList
from ajobs.admin.api.tokens import Scope
from ajobs.protocol.queue import Queue
from ajobs.protocol.subjects import DEFAULT_QUEUE

_RENAMED = {"max_runtime": "max_run_time"}
_SPANS = frozenset({"max_age", "max_runtime"})


def _settings(request: QueueCreateRequest | QueueChanges) -> dict[str, Any]:
    """Return the settings of a request under the names of the client."""
    given: dict[str, Any] = {}
    for field in msgspec.structs.fields(request):
        value = getattr(request, field.name)
        if value is UNSET or field.name == "name":
            continue
        if field.name in _SPANS:
            value = span(field.name, value)
        given[_RENAMED.get(field.name, field.name)] = value
    return given


async def list_queues(call: Call) -> Response:
    """List queues."""
    return Response(200, QueueList(queues=[queue_document(info) for info in await call.service.client.queues()]))


async def create(call: Call) -> Response:
    """Create a queue."""
    request: QueueCreateRequest = call.body
    if request.name == DEFAULT_QUEUE and not call.service.options.allow_create_default:
        raise ApiError(
            f"queue {DEFAULT_QUEUE} cannot be created over HTTP: choose another name, or run the server with "
            "--allow-create-default",
            reason="default_queue_disallowed", field="name",
        )  # fmt: skip
    queue = Queue(name=request.name, **_settings(request))
    await call.service.client.create_queue(queue)
    return await _info(call, 201, request.name)


async def get(call: Call) -> Response:
    """Return a queue."""
    return await _info(call)


async def configure(call: Call) -> Response:
    """Change the settings of a queue."""
    changes: QueueChanges = call.body
    await call.service.client.configure_queue(call.path["name"], **_settings(changes))
    return await _info(call)


async def pause(call: Call) -> Response:
    """Pause a queue."""
    query: PauseQuery = call.query
    duration = None if query.duration is UNSET else span("duration", query.duration)
    await call.service.client.pause_queue(call.path["name"], duration=duration)
    return await _info(call)


async def resume(call: Call) -> Response:
    """Resume a queue."""
    await call.service.client.resume_queue(call.path["name"])
    return await _info(call)


async def purge(call: Call) -> Response:
    """Remove the items of a queue."""
    await call.service.client.purge_queue(call.path["name"])
    return Response(202)


async def delete(call: Call) -> Response:
    """Delete a queue."""
    await call.service.client.delete_queue(call.path["name"])
    return Response(204)


async def _info(call: Call, status: int = 200, name: str | None = None) -> Response:
    return Response(status, queue_document(await call.service.client.queue_info(name or call.path["name"])))


_DURATIONS = {"max_age": "invalid_duration", "max_runtime": "invalid_duration", "duration": "invalid_duration"}
QUEUE = Success("The queue.", QueueInfoDocument)

OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/queues",
        name="listQueues",
        tag="Queues",
        summary="List queues.",
        handler=list_queues,
        scope=Scope.READ,
        responses={200: Success("All queues.", QueueList)},
    ),
    Operation(
        method="POST",
        path="/v1/queues",
        name="createQueue",
        tag="Queues",
        summary="Create a queue.",
        text="Durations are text such as `1h30m` in the request and nanoseconds in the response. Queue `DEFAULT` "
        "can be created only if the server runs with `--allow-create-default`.",
        handler=create,
        scope=Scope.ADMIN,
        body=QueueCreateRequest,
        reasons={"name": "queue_name_required", **_DURATIONS},
        responses={201: Success("Created.", QueueInfoDocument)},
        errors=(409,),
    ),
    Operation(
        method="GET",
        path="/v1/queues/{name}",
        name="getQueue",
        tag="Queues",
        summary="Get a queue.",
        handler=get,
        scope=Scope.READ,
        responses={200: QUEUE},
    ),
    Operation(
        method="PATCH",
        path="/v1/queues/{name}",
        name="configureQueue",
        tag="Queues",
        summary="Change the settings of a queue.",
        handler=configure,
        scope=Scope.ADMIN,
        body=QueueChanges,
        reasons=_DURATIONS,
        responses={200: Success("The changed queue.", QueueInfoDocument)},
    ),
    Operation(
        method="DELETE",
        path="/v1/queues/{name}",
        name="deleteQueue",
        tag="Queues",
        summary="Delete a queue.",
        text="Its work items are deleted too. Their tasks stay stored but will not run.",
        handler=delete,
        scope=Scope.ADMIN,
        responses={204: Success("Deleted.")},
    ),
    Operation(
        method="POST",
        path="/v1/queues/{name}/purge",
        name="purgeQueue",
        tag="Queues",
        summary="Remove all work items from a queue.",
        text="Their tasks stay stored but will not run.",
        handler=purge,
        scope=Scope.ADMIN,
        responses={202: Success("Purged.")},
    ),
    Operation(
        method="POST",
        path="/v1/queues/{name}/pause",
        name="pauseQueue",
        tag="Queues",
        summary="Pause delivery to all workers.",
        text="Running tasks and enqueuing continue. Needs nats-server 2.11 or newer.",
        handler=pause,
        scope=Scope.ADMIN,
        query=PauseQuery,
        reasons=_DURATIONS,
        responses={200: QUEUE},
    ),
    Operation(
        method="POST",
        path="/v1/queues/{name}/resume",
        name="resumeQueue",
        tag="Queues",
        summary="Resume delivery.",
        handler=resume,
        scope=Scope.ADMIN,
        responses={200: QUEUE},
    ),
)
