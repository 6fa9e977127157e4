"""Schedules: make, look, change, pause, run now, delete."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from ajobs.admin.api.conversion import payload_of, schedule_document, task_document
from ajobs.admin.api.errors import ApiError
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
from ajobs.protocol.errors import AjobsError, ConfigurationError
from ajobs.protocol.timestamps import format_timestamp

_SAME = ("queue", "max_tries", "catch_up", "catch_up_limit", "paused")


def _settings(request: ScheduleCreateRequest | ScheduleChanges) -> dict[str, Any]:
    """Return the settings that are given, by the client's names."""
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
    """Make a schedule."""
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
    name = call.path["name"]
    try:
        info = await call.service.client.schedules.update(name, **settings)
    except ConfigurationError as e:
        # The names of the settings are right, so somebody else changed it in the same moment.
        raise ApiError(str(e), code="conflict", reason="schedule_changed") from e
    return Response(200, schedule_document(info))


async def delete(call: Call) -> Response:
    """Delete a schedule."""
    await call.service.client.schedules.delete(call.path["name"])
    return Response(204)


async def run_now(call: Call) -> Response:
    """Make one task of a schedule."""
    client, name = call.service.client, call.path["name"]
    await client.join_queue((await client.schedules.load(name)).schedule.queue)
    task = await client.schedules.run_now(name)
    return Response(201, task_document(task), {"Location": f"/v1/tasks/{task.id}"})


async def next_runs(call: Call) -> Response:
    """Return when a schedule is due."""
    query: NextQuery = call.query
    info = await call.service.client.schedules.load(call.path["name"])
    try:
        times = next_due_ns(info, query.count)
    except AjobsError:
        times = []  # its day never comes
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
        summary="List scheduled tasks.",
        handler=list_schedules,
        scope=Scope.READ,
        answers={200: Success("All schedules.", ScheduleList)},
    ),
    Operation(
        method="POST",
        path="/v1/schedules",
        name="createSchedule",
        tag="Schedules",
        summary="Create a scheduled task.",
        text="The deadline of a task is the offset after its tick, 30s or more.",
        handler=create,
        scope=Scope.ADMIN,
        body=ScheduleCreateRequest,
        reasons=_REASONS,
        answers={201: Success("Created.", ScheduleDocument)},
        errors=(409,),
    ),
    Operation(
        method="GET",
        path="/v1/schedules/{name}",
        name="getSchedule",
        tag="Schedules",
        summary="Fetch a scheduled task.",
        handler=get,
        scope=Scope.READ,
        answers={200: SCHEDULE},
    ),
    Operation(
        method="PATCH",
        path="/v1/schedules/{name}",
        name="updateSchedule",
        tag="Schedules",
        summary="Change a scheduled task.",
        handler=update,
        scope=Scope.ADMIN,
        body=ScheduleChanges,
        reasons=_REASONS,
        answers={200: Success("The schedule as it is then.", ScheduleDocument)},
        errors=(409,),
    ),
    Operation(
        method="DELETE",
        path="/v1/schedules/{name}",
        name="deleteSchedule",
        tag="Schedules",
        summary="Delete a scheduled task.",
        text="Its tasks stay as they are.",
        handler=delete,
        scope=Scope.ADMIN,
        answers={204: Success("Deleted.")},
    ),
    Operation(
        method="POST",
        path="/v1/schedules/{name}/pause",
        name="pauseSchedule",
        tag="Schedules",
        summary="Have it make no tasks.",
        text="A scheduler of the original does not know of it, and goes on.",
        handler=pause,
        scope=Scope.ADMIN,
        answers={200: SCHEDULE},
        errors=(409,),
    ),
    Operation(
        method="POST",
        path="/v1/schedules/{name}/resume",
        name="resumeSchedule",
        tag="Schedules",
        summary="Have it make tasks again, from its next tick on.",
        handler=resume,
        scope=Scope.ADMIN,
        answers={200: SCHEDULE},
        errors=(409,),
    ),
    Operation(
        method="POST",
        path="/v1/schedules/{name}/run",
        name="runSchedule",
        tag="Schedules",
        summary="Make one task of it, now and besides its runs.",
        handler=run_now,
        scope=Scope.WRITE,
        answers={201: Success("The task.", TaskDocument, headers={"Location": "Where the task is."})},
        errors=(409,),
    ),
    Operation(
        method="GET",
        path="/v1/schedules/{name}/next",
        name="nextRuns",
        tag="Schedules",
        summary="When it is due next.",
        handler=next_runs,
        scope=Scope.READ,
        query=NextQuery,
        answers={200: Success("The next times, none while it is paused.", NextRuns)},
    ),
)
