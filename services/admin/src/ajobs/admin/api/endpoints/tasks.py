"""Single tasks: enqueue, look, wait, retry, delete."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import msgspec
from msgspec import UNSET, UnsetType

from ajobs.admin.api.conversion import created_from, new_times, task_document, task_from
from ajobs.admin.api.errors import ApiError
from ajobs.admin.api.idempotency import MAX_KEY, Key
from ajobs.admin.api.operation import Call, Operation, Success
from ajobs.admin.api.parsing import duration_ns
from ajobs.admin.api.responses import Response
from ajobs.admin.api.schemas.queries import MAX_WAIT_NS, RetryQuery, WaitQuery
from ajobs.admin.api.schemas.tasks import TaskCreateRequest, TaskDocument, TaskOutcome
from ajobs.admin.api.service import Service
from ajobs.admin.api.tokens import Scope
from ajobs.client.identifiers import new_id
from ajobs.client.tasks.wait import LOOK_AGAIN_S, check_complete
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import AjobsError, QueueNotFoundError
from ajobs.protocol.states import FINAL_STATES
from ajobs.protocol.task import Task

TASK_REASONS = {
    "type": "task_type_invalid",
    "id": "task_id_invalid",
    "queue": "queue_name_invalid",
    "dependencies[]": "task_id_invalid",
}


async def create(call: Call) -> Response:
    """Enqueue a task."""
    request: TaskCreateRequest = call.body
    client, now_ns = call.service.client, time.time_ns()
    new_task_id = new_id() if request.id is UNSET else request.id
    # What is wrong with the request is said before anything is asked or written.
    task = created_from(client, request, new_task_id, now_ns)
    await client.join_queue(task.queue)
    text = call.headers.get("idempotency-key")
    if text is None:
        return _created(201, await enqueue(call.service, task))
    if not 0 < len(text) <= MAX_KEY:
        raise ApiError(
            f"the Idempotency-Key has {len(text)} characters: use 1 to {MAX_KEY}",
            reason="idempotency_key_invalid", field="Idempotency-Key",
        )  # fmt: skip
    key = Key(call.owner, text, msgspec.json.encode(msgspec.json.decode(call.raw_body), order="sorted"))
    once = await call.service.idempotency.enqueue(
        key,
        new_task_id,
        new_times(request, now_ns)[0],
        lambda task_id, at_ns: task_from(client, request, task_id, at_ns),
    )
    return _created(200 if once.repeated else 201, once.task)


async def enqueue(service: Service, task: Task) -> Task:
    """Enqueue a task. When its queue was deleted a moment ago nothing is left of it."""
    try:
        return await service.client.enqueue(task)
    except QueueNotFoundError:
        with suppress(AjobsError):
            await service.client.delete(task.id)
        raise


def _created(status: int, task: Task) -> Response:
    return Response(status, task_document(task), {"Location": f"/v1/tasks/{task.id}"})


async def get(call: Call) -> Response:
    """Return a task, at once or when it is finished."""
    return Response(200, task_document(await _finished(call)))


async def result(call: Call) -> Response:
    """Return what a task's handler returned, at once or when it is finished."""
    task = await _finished(call)
    if task.state not in FINAL_STATES:
        outcome = TaskOutcome(id=task.id, state=task.state.value, tries=task.tries)  # pyright: ignore[reportArgumentType]
        return Response(202, outcome, {"Retry-After": "1"})
    returned = check_complete(task).result
    outcome = TaskOutcome(
        id=task.id,
        state="complete",
        tries=task.tries,
        payload=msgspec.Raw(b"null") if returned is None else returned.payload,
        completed=UNSET if returned is None else returned.completed,
    )
    return Response(200, outcome)


async def _finished(call: Call) -> Task:
    """Return a task once it is in a final state, or as it is when the time to wait is over."""
    service, task_id = call.service, call.path["id"]
    wait: str | UnsetType = call.query.wait
    wait_ns = 0 if wait is UNSET else duration_ns("wait", wait, most_ns=MAX_WAIT_NS)
    task = await service.client.load(task_id)
    if task.state in FINAL_STATES or not wait_ns:
        return task
    loop = asyncio.get_running_loop()
    end = loop.time() + wait_ns / SECOND_NS
    async with service.hub.changes_of(task_id) as changed:
        while True:
            changed.clear()
            task = await service.client.load(task_id)
            left_s = end - loop.time()
            if task.state in FINAL_STATES or left_s <= 0 or service.stopping.is_set():
                return task
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, LOOK_AGAIN_S)):
                    await changed.wait()


async def delete(call: Call) -> Response:
    """Delete a task."""
    await call.service.client.delete(call.path["id"])
    return Response(204)


async def retry(call: Call) -> Response:
    """Enqueue a task once more."""
    query: RetryQuery = call.query
    queue = None if query.queue is UNSET else query.queue
    client = call.service.client
    if queue is not None:
        await client.join_queue(queue)
    return Response(200, task_document(await client.retry(call.path["id"], queue=queue, force=query.force)))


TASK = Success("The task.", TaskDocument)

OPERATIONS = (
    Operation(
        method="POST",
        path="/v1/tasks",
        name="createTask",
        tag="Tasks",
        summary="Create and enqueue a task.",
        text="The queue is the server's default, unless the body names one, which has to exist. On a server with a key "
        "to verify with, `signature` has to be there, with the `id` and `created` that it was made over; the server "
        "does not sign. An `Idempotency-Key` holds for ten minutes, on all replicas: a repeat with the same body "
        "answers 200 with the same task, one with another body 409.",
        handler=create,
        scope=Scope.WRITE,
        body=TaskCreateRequest,
        reasons=TASK_REASONS,
        headers={"Idempotency-Key": "Up to 128 characters, the same for each repeat of one request."},
        answers={
            201: Success("Created and enqueued.", TaskDocument, headers={"Location": "Where the task is."}),
            200: Success("It was created before, with the same key.", TaskDocument, headers={"Location": "Likewise."}),
        },
        errors=(404, 409),
    ),
    Operation(
        method="GET",
        path="/v1/tasks/{id}",
        name="getTask",
        tag="Tasks",
        summary="Fetch a task by id.",
        text="With `wait`, when it is finished, or as it is once that time has passed.",
        handler=get,
        scope=Scope.READ,
        query=WaitQuery,
        waits=True,
        reasons={"wait": "invalid_duration"},
        answers={200: TASK},
    ),
    Operation(
        method="DELETE",
        path="/v1/tasks/{id}",
        name="deleteTask",
        tag="Tasks",
        summary="Delete a task.",
        text="A work item for it is dropped by the worker that gets it.",
        handler=delete,
        scope=Scope.WRITE,
        answers={204: Success("Deleted.")},
        errors=(409,),
    ),
    Operation(
        method="GET",
        path="/v1/tasks/{id}/result",
        name="getTaskResult",
        tag="Tasks",
        summary="Fetch what a task's handler returned.",
        text="With `wait`, when it is finished. A task that ended in another state than complete is an error, 424.",
        handler=result,
        scope=Scope.READ,
        query=WaitQuery,
        waits=True,
        reasons={"wait": "invalid_duration"},
        answers={
            200: Success("It is complete.", TaskOutcome),
            202: Success("It is not finished: ask again.", TaskOutcome, headers={"Retry-After": "Seconds."}),
        },
        errors=(424,),
    ),
    Operation(
        method="POST",
        path="/v1/tasks/{id}/retry",
        name="retryTask",
        tag="Tasks",
        summary="Retry a single task.",
        text="It has all its tries before it again.",
        handler=retry,
        scope=Scope.WRITE,
        query=RetryQuery,
        reasons={"queue": "queue_name_invalid"},
        answers={200: Success("Enqueued again.", TaskDocument)},
        errors=(409,),
    ),
)
