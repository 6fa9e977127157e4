"""Retries by id: a stored task is enqueued again with all its tries."""

from __future__ import annotations

import time

import msgspec

from ajobs.client.storage.storage import Storage
from ajobs.client.tasks.enqueue import Enqueuer
from ajobs.protocol.decisions import retried
from ajobs.protocol.errors import AjobsError, ConfigurationError, TaskAlreadyActiveError, TaskPastDeadlineError
from ajobs.protocol.names import check_name
from ajobs.protocol.signing import sign_task, verify_task
from ajobs.protocol.states import TaskState
from ajobs.protocol.task import Task, is_past_deadline


async def retry_task(enqueuer: Enqueuer, task_id: str, queue: str | None, *, force: bool) -> Task:
    """Enqueue a stored task again with all its tries. See `Client.retry`.

    A cancellation does not stop it: it continues in the background.
    """
    return await enqueuer.unfinished.shield(_retry(enqueuer, task_id, queue, force=force), f"retry task {task_id}")


async def _retry(enqueuer: Enqueuer, task_id: str, queue: str | None, *, force: bool) -> Task:
    storage, keys = enqueuer.storage, enqueuer.keys
    stored = await storage.tasks.load(task_id)
    task, before = retried(stored.task), stored.task
    if before.state is TaskState.ACTIVE and not force:
        since = f" since {before.tried}" if before.tried else ""
        msg = f"task {task_id} is active{since}: wait for it, or use force (`--active`) if its worker has died"
        raise TaskAlreadyActiveError(msg)
    if is_past_deadline(task, time.time_ns()):
        msg = f"task {task_id} is past its deadline of {task.deadline} and cannot start: enqueue a new one"
        raise TaskPastDeadlineError(msg)
    if keys.verifier is not None:
        verify_task(before, keys.verifier, optional=keys.optional)
    queue = check_name("queue name", queue or before.queue or enqueuer.default_queue)
    if queue != before.queue:
        task = _moved(enqueuer, task, queue)
        # The task must stay where it is if the other queue does not exist.
        await storage.queues.join(queue)
    saved = await storage.tasks.save(task, stored.revision)
    if before.queue and queue != before.queue:
        await _remove_item(storage, before.queue, task_id)
    return await enqueuer.put(saved, again=True)


def _moved(enqueuer: Enqueuer, task: Task, queue: str) -> Task:
    """Return the task for another queue, and sign it again, because the signature covers the queue.

    The signature was verified before. A task without one stays without: anyone could have stored it.
    """
    moved = msgspec.structs.replace(task, queue=queue, signature="")
    if not task.signature:
        return moved
    if enqueuer.keys.signer is not None:
        return sign_task(moved, enqueuer.keys.signer)
    msg = (
        f"task {task.id} is signed for queue {task.queue}: retry it there, "
        f"or set a signing key to sign it for queue {queue}"
    )
    raise ConfigurationError(msg)


async def _remove_item(storage: Storage, queue: str, task_id: str) -> None:
    """Remove the item from the old queue, so that the task does not run from both."""
    try:
        await storage.items.remove_of(queue, task_id)
    except AjobsError:
        # The old queue may be gone. A remaining item finds the task done, or one of the two items runs it.
        return
