"""Waiting for a task to be finished: by its events, confirmed by loading it, right even when an event is lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from ajobs.client.storage.events import EventStream
from ajobs.client.storage.storage import Storage
from ajobs.protocol.errors import RequestTimeoutError, TaskDiscardedError, TaskFailedError, TaskNotFoundError
from ajobs.protocol.events import TaskStateEvent
from ajobs.protocol.states import FINAL_STATES, TaskState
from ajobs.protocol.subjects import task_state_subject
from ajobs.protocol.task import Task

LOOK_AGAIN_S = 5.0
"""Seconds after which the task is loaded although no event came."""


async def wait_for(storage: Storage, task_id: str, timeout_s: float | None) -> Task:
    """Return the task once it is in a final state.

    Raises:
        RequestTimeoutError: The task did not get there in time.
        TaskNotFoundError: No task with this id is stored.
        TaskDiscardedError: The task got there, and its worker discarded it.
    """
    if timeout_s is not None and timeout_s <= 0:
        # A poll: one request, and nothing to wait for.
        task = (await storage.tasks.load(task_id)).task
        if task.state in FINAL_STATES:
            return task
        raise RequestTimeoutError(f"task {task_id} is {task.state}, not finished")
    subject = task_state_subject(task_id)
    limit = asyncio.timeout(timeout_s)
    try:
        async with limit, storage.watch(subject) as events:
            return await _finished(storage, task_id, events)
    except TimeoutError as e:
        if not limit.expired():
            raise
        msg = f"task {task_id} was not finished within {timeout_s:g} s"
        raise RequestTimeoutError(msg) from e


async def _finished(storage: Storage, task_id: str, events: EventStream) -> Task:
    announced: TaskState | None = None
    while True:
        try:
            task = (await storage.tasks.load(task_id)).task
        except TaskNotFoundError as e:
            if announced is None:
                raise
            msg = f"task {task_id} became {announced} and was then discarded: its result is gone"
            raise TaskDiscardedError(msg) from e
        if task.state in FINAL_STATES:
            return task
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_AGAIN_S):
                announced = await _next_final(events)


async def _next_final(events: EventStream) -> TaskState:
    async for event in events:
        if isinstance(event, TaskStateEvent) and event.state in FINAL_STATES:
            return event.state
    raise AssertionError  # the stream of events has no end


def check_complete(task: Task) -> Task:
    """Return the task if it completed.

    Raises:
        TaskFailedError: It ended in another state.
    """
    if task.state is TaskState.COMPLETE:
        return task
    tries = "1 try" if task.tries == 1 else f"{task.tries} tries"
    msg = f"task {task.id} of type {task.type} is {task.state} after {tries}: {task.last_err or 'no error'}"
    raise TaskFailedError(msg, task_id=task.id, state=task.state, last_err=task.last_err)
