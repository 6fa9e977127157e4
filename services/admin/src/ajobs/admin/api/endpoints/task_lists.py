"""List tasks. They are sent as they are read, so memory use is small and clients do not wait for each other."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
from msgspec import UNSET

from ajobs.admin.api.conversion import task_document
from ajobs.admin.api.errors import ApiError
from ajobs.admin.api.operation import Call, Operation, Success
from ajobs.admin.api.parsing import time_ns
from ajobs.admin.api.responses import CHUNK_BYTES, JSON, NDJSON, Response, StreamingResponse
from ajobs.admin.api.schemas.queries import TaskListQuery
from ajobs.admin.api.schemas.tasks import TaskDocument, TaskListResponse
from ajobs.admin.api.tokens import Scope
from ajobs.client.storage.tasks import Stored
from ajobs.client.tasks.filter import Matcher
from ajobs.protocol.states import TaskState

AHEAD = 100
"""Tasks to read ahead for one client. Tasks may be large and clients many, so this is small."""

_encode = msgspec.json.Encoder().encode


def matcher_of(query: TaskListQuery) -> Matcher:
    """Return the task filter of a query.

    Raises:
        ApiError: `created_since` is not a valid timestamp.
    """
    return Matcher(
        states=frozenset(map(TaskState, query.state)),
        queues=frozenset() if query.queue is UNSET else frozenset({query.queue}),
        task_types=frozenset() if query.type is UNSET else frozenset({query.type}),
        created_since_ns=None if query.created_since is UNSET else time_ns("created_since", query.created_since),
    )


async def list_tasks(call: Call) -> Response | StreamingResponse:
    """List tasks."""
    query: TaskListQuery = call.query
    if query.all and query.stream is UNSET:
        raise ApiError("all=true needs stream=ndjson: without it, use cursor to page through the tasks", field="all")
    after = 0 if query.cursor is UNSET else int(query.cursor)
    # Read one task more than the page holds to know if another page follows. With a filter, that may take any number.
    plain = query == TaskListQuery(limit=query.limit, cursor=query.cursor)
    ahead = min(query.limit + 1, AHEAD) if plain else AHEAD
    found = call.service.client.stored_tasks(matcher_of(query), after=after, ahead=ahead)
    if query.stream is UNSET:
        return StreamingResponse(JSON, _page(found, query.limit))
    return StreamingResponse(NDJSON, _lines(found, None if query.all else query.limit))


async def _page(found: AsyncGenerator[Stored], limit: int) -> AsyncGenerator[bytes]:
    chunk, count, last, more = bytearray(b'{"tasks":['), 0, 0, False
    async with aclosing(found):
        async for stored in found:
            if count == limit:
                more = True
                break
            if count:
                chunk += b","
            chunk += _encode(task_document(stored.task))
            count, last = count + 1, stored.revision
            if len(chunk) >= CHUNK_BYTES:
                yield bytes(chunk)
                chunk.clear()
    end = b'],"count":%d' % count
    yield bytes(chunk) + end + (b',"next_cursor":"%d"}' % last if more else b"}")


async def _lines(found: AsyncGenerator[Stored], limit: int | None) -> AsyncGenerator[bytes]:
    count = 0
    async with aclosing(found):
        async for stored in found:
            yield _encode(task_document(stored.task)) + b"\n"
            count += 1
            if count == limit:
                return


OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/tasks",
        name="listTasks",
        tag="Tasks",
        summary="List tasks.",
        text="Tasks are listed least recently changed first. Filters apply before `limit`. Pass `next_cursor` as "
        "`cursor` to get the next page. A task that changes between two pages moves to the end, so it may appear "
        "twice. With `stream=ndjson`, each task is one line that is sent as soon as it is found. An aborted stream "
        "has no last chunk.",
        handler=list_tasks,
        scope=Scope.READ,
        query=TaskListQuery,
        reasons={
            "limit": "limit_invalid",
            "state": "task_state_invalid",
            "created_since": "invalid_timestamp",
            "cursor": "cursor_invalid",
            "queue": "queue_name_invalid",
            "type": "task_type_invalid",
        },
        responses={200: Success("A page of tasks.", TaskListResponse, content_types={NDJSON: TaskDocument})},
    ),
)
