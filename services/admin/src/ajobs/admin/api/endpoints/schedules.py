"""Endpoints for schedules: create, get, change, pause, run now, delete."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from ajobs.admin.api.conversion import payload_of, schedule_document, task_document
from ajobs.admin.api.operation import Call, Operation, Success
from ajobs.admin.api.parsing import span
from ajobs.admin.api.responses import Response
from ajobs.admin.api.schemas.queries import NextQuery
from ajobs.admin.api.schemas.schedules import (
    NextRuns,
    ScheduleChanges,
    ScheduleCreateRequest,
    ScheduleDocument,
    ScheduleList,
)
from ajobs.admin.api.schemas.tasks import TaskDocument
from ajobs.admin.api.tokens import Scope
from ajobs.client.schedules.schedules import next_due_ns
from ajobs.protocol.errors import AjobsError
from ajobs.protocol.timestamps import format_timestamp

_SAME = ("queue", "max_tries", "catch_up", "catch_up_limit", "paused")


def _settings(request: ScheduleCreateRequest | ScheduleChanges) -> dict[str, Any]:
    """Return the settings of a request under the names of the client."""
    given = {name: value for name in _SAME if (value := getattr(request, name)) is not UNSET}
    if request.payload is not UNSET or request.payload_base64 is not UNSET:
        given["payload"] = payload_of(request.payload, request.payload_base64)
    if request.deadline_offset is not UNSET:
        given["deadline"] = span("deadline_offset", request.deadline_offset)
    if request.jitter is not UNSET:
        given["jitter"] = span("jitter", request.jitter)
    return given


async def list_schedules(call: Call) -> Response:
    """List schedules."""
    found = await call.service.client.schedules.all()
    return Response(200, ScheduleList(schedules=[schedule_document(info) for info in found]))


async def create(call: Call) -> Response:
    """Create a schedule."""
    request: ScheduleCreateRequest = call.body
    info = await call.service.client.schedules.create(
        request.name, request.schedule, request.task_type, **_settings(request)
    )
    return Response(201, schedule_document(info))


async def get(call: Call) -> Response:
    """Return a schedule."""
    return Response(200, schedule_document(await call.service.client.schedules.load(call.path["name"])))


async def update(call: Call) -> Response:
    """Change a schedule."""
    changes: ScheduleChanges = call.body
    given = _settings(changes)
    given |= {name: value for name in ("schedule", "task_type") if (value := getattr(changes, name)) is not UNSET}
    return await _changed(call, given)


async def pause(call: Call) -> Response:
    """Pause a schedule."""
    return await _changed(call, {"paused": True})


async def resume(call: Call) -> Response:
    """Resume a schedule."""
    return await _changed(call, {"paused": False})


async def _changed(call: Call, settings: dict[str, Any]) -> Response:
    info = await call.service.client.schedules.update(call.path["name"], **settings)
    return Response(200, schedule_document(info))


async def delete(call: Call) -> Response:
    """Delete a schedule."""
    await call.service.client.schedules.delete(call.path["name"])
    return Response(204)


async def run_now(call: Call) -> Response:
    """Create one task of a schedule."""
    task = await call.service.client.schedules.run_now(call.path["name"])
    return Response(201, task_document(task), {"Location": f"/v1/tasks/{task.id}"})


async def next_runs(call: Call) -> Response:
    """Return the next ticks of a schedule."""
    query: NextQuery = call.query
    info = await call.service.client.schedules.load(call.path["name"])
    try:
        times = next_due_ns(info, query.count)
    except AjobsError:
        times = []  # a date that never comes, such as 31 February
    return Response(200, NextRuns(name=info.name, next=[format_timestamp(due_ns) for due_ns in times]))


SCHEDULE = Success("The schedule.", ScheduleDocument)
_REASONS = {
    **dict.fromkeys(("name", "schedule", "queue", "task_type", "catch_up", "catch_up_limit"), "schedule_invalid"),
    "deadline_offset": "invalid_duration",
    "jitter": "invalid_duration",
}

OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/schedules",
        name="listSchedules",
        tag="Schedules",
        summary="List schedules.",
        handler=list_schedules,
        scope=Scope.READ,
        responses={200: Success("All schedules.", ScheduleList)},
    ),
    Operation(
        method="POST",
        path="/v1/schedules",
        name="createSchedule",
        tag="Schedules",
        summary="Create a schedule.",
        text="The deadline of each task is its tick plus `deadline_offset`, which is `30s` or more.",
        handler=create,
        scope=Scope.ADMIN,
        body=ScheduleCreateRequest,
        reasons=_REASONS,
        responses={201: Success("Created.", ScheduleDocument)},
        errors=(409,),
    ),
    Operation(
        method="GET",
        path="/v1/schedules/{name}",
        name="getSchedule",
        tag="Schedules",
        summary="Get a schedule.",
        handler=get,
        scope=Scope.READ,
        responses={200: SCHEDULE},
    ),
    Operation(
        method="PATCH",
        path="/v1/schedules/{name}",
        name="updateSchedule",
        tag="Schedules",
        summary="Change a schedule.",
        handler=update,
        scope=Scope.ADMIN,
        body=ScheduleChanges,
        reasons=_REASONS,
        responses={200: Success("The changed schedule.", ScheduleDocument)},
        errors=(409,),
    ),
    Operation(
        method="DELETE",
        path="/v1/schedules/{name}",
        name="deleteSchedule",
        tag="Schedules",
        summary="Delete a schedule.",
        text="Tasks that it created stay.",
        handler=delete,
        scope=Scope.ADMIN,
        responses={204: Success("Deleted.")},
    ),
    Operation(
        method="POST",
        path="/v1/schedules/{name}/pause",
        name="pauseSchedule",
        tag="Schedules",
        summary="Pause a schedule.",
        text="A scheduler of Choria Async Jobs ignores the pause and continues to create tasks.",
        handler=pause,
        scope=Scope.ADMIN,
        responses={200: SCHEDULE},
        errors=(409,),
    ),
    Operation(
        method="POST",
        path="/v1/schedules/{name}/resume",
        name="resumeSchedule",
        tag="Schedules",
        summary="Resume a schedule from its next tick.",
        handler=resume,
        scope=Scope.ADMIN,
        responses={200: SCHEDULE},
        errors=(409,),
    ),
    Operation(
        method="POST",
        path="/v1/schedules/{name}/run",
        name="runSchedule",
        tag="Schedules",
        summary="Create one task of a schedule now, in addition to its ticks.",
        handler=run_now,
        scope=Scope.WRITE,
        responses={201: Success("The task.", TaskDocument, headers={"Location": "Path of the task."})},
        errors=(409,),
    ),
    Operation(
        method="GET",
        path="/v1/schedules/{name}/next",
        name="nextRuns",
        tag="Schedules",
        summary="List the next ticks of a schedule.",
        handler=next_runs,
        scope=Scope.READ,
        query=NextQuery,
        responses={200: Success("The next ticks. Empty while the schedule is paused.", NextRuns)},
    ),
)
