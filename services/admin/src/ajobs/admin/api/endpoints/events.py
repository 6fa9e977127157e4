"""Events as they happen, as server-sent events."""

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
    """Send events."""
    query: EventQuery = call.query
    wanted = EventFilter(
        task_id=None if query.task_id is UNSET else query.task_id,
        queue=None if query.queue is UNSET else query.queue,
        task_type=None if query.type is UNSET else query.type,
        states=frozenset(query.state),
    )
    pieces = _stream(call.service.hub, wanted, call.service.options.heartbeat_s)
    return StreamingResponse(EVENT_STREAM, pieces, {"X-Accel-Buffering": "no"}, lasting=True)


async def _stream(hub: EventBroadcaster, wanted: EventFilter, heartbeat_s: float) -> AsyncGenerator[bytes]:
    async with hub.events(wanted) as queue:
        # Its arrival tells the client that from now on nothing is missed.
        yield HELLO
        while (found := await queue.take(heartbeat_s)) is not None:
            yield b"".join(map(_written, found)) or HEARTBEAT


def _written(message: ServerSentEvent) -> bytes:
    # An id comes from whoever sent the event.
    line = f"id: {message.event_id}\n" if message.event_id.isalnum() else ""
    return f"{line}event: {message.kind}\ndata: ".encode() + message.data + b"\n\n"


OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/events",
        name="watchEvents",
        tag="Events",
        summary="State changes of tasks as they happen, as server-sent events.",
        text="Events are `task_state` and, without filters, `leader`; the data is the event's JSON. Nobody stores "
        f"them. A client that is more than {BUFFER} events behind loses the oldest and gets an event `lost` with their "
        "count; after the server was disconnected from NATS comes an event `gap`. A comment comes after silence.",
        handler=events,
        scope=Scope.READ,
        query=EventQuery,
        reasons={
            "task_id": "task_id_invalid",
            "state": "task_state_invalid",
            "queue": "queue_name_invalid",
            "type": "task_type_invalid",
        },
        answers={200: Success("Events for as long as the client stays.", content_types={EVENT_STREAM: str})},
    ),
)
