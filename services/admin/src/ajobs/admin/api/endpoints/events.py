"""The event stream, as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from msgspec import UNSET

from ajobs.admin.api.events import BUFFER, EventBroadcaster, EventFilter, ServerSentEvent
from ajobs.admin.api.operation import Call, Operation, Success
from ajobs.admin.api.responses import EVENT_STREAM, StreamingResponse
from ajobs.admin.api.schemas.queries import EventQuery
from ajobs.admin.api.tokens import Scope

HELLO = b": ajobs events\nretry: 2000\n\n"
HEARTBEAT = b": still here\n\n"


async def events(call: Call) -> StreamingResponse:
    """Stream events."""
    query: EventQuery = call.query
    wanted = EventFilter(
        task_id=None if query.task_id is UNSET else query.task_id,
        queue=None if query.queue is UNSET else query.queue,
        task_type=None if query.type is UNSET else query.type,
        states=frozenset(query.state),
    )
    chunks = _stream(call.service.events, wanted, call.service.options.heartbeat_s)
    return StreamingResponse(EVENT_STREAM, chunks, {"X-Accel-Buffering": "no"}, lasting=True)


async def _stream(broadcaster: EventBroadcaster, wanted: EventFilter, heartbeat_s: float) -> AsyncGenerator[bytes]:
    async with broadcaster.events(wanted) as queue:
        # This comment tells the client that it receives all events from now on.
        yield HELLO
        while (found := await queue.take(heartbeat_s)) is not None:
            yield b"".join(map(_format, found)) or HEARTBEAT


def _format(message: ServerSentEvent) -> bytes:
    # The ID comes from the sender of the event and may hold anything.
    line = f"id: {message.event_id}\n" if message.event_id.isalnum() else ""
    return f"{line}event: {message.kind}\ndata: ".encode() + message.data + b"\n\n"


OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/events",
        name="watchEvents",
        tag="Events",
        summary="Watch state changes of tasks as server-sent events.",
        text="Events are `task_state` and, without filters, `leader`. The data is the event as JSON. Events are not "
        f"stored. A client that is more than {BUFFER} events behind loses the oldest and receives an event `lost` with "
        "their count. After the server was disconnected from NATS, it sends an event `gap`. Without events, it sends "
        "comments.",
        handler=events,
        scope=Scope.READ,
        query=EventQuery,
        reasons={
            "task_id": "task_id_invalid",
            "state": "task_state_invalid",
            "queue": "queue_name_invalid",
            "type": "task_type_invalid",
        },
        responses={200: Success("Events, until the client disconnects.", content_types={EVENT_STREAM: str})},
    ),
)
