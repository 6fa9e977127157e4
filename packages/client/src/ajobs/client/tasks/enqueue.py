"""Putting tasks into queues: new ones, many at once, and again."""

from __future__ import annotations

from contextlib import suppress

import msgspec

from ajobs.client.observability.tracing import Inject
from ajobs.client.options import Keys
from ajobs.client.storage.jetstream.publish import Posted
from ajobs.client.storage.storage import Storage
from ajobs.client.storage.tasks import NEVER_STORED, Stored
from ajobs.protocol.decisions import error_text
from ajobs.protocol.errors import (
    AjobsError,
    DuplicateItemError,
    PayloadTooLargeError,
    QueueNotFoundError,
    RequestTimeoutError,
    TaskCannotEnqueueError,
    TaskChangedError,
)
from ajobs.protocol.names import check_name
from ajobs.protocol.signing import sign_task
from ajobs.protocol.states import ENQUEUEABLE_STATES, TaskState, transition
from ajobs.protocol.task import Task

ROOM_BYTES = 1_024
"""What a stored task grows by while it is processed, not counting its result: a new one has to leave that much room."""


class Enqueuer:
    """Signs, stores and enqueues."""

    def __init__(self, storage: Storage, keys: Keys, default_queue: str, inject: Inject | None = None) -> None:
        """Use ``default_queue`` for tasks that name none, and have ``inject`` add headers to work items."""
        self._inject = inject
        self.storage = storage
        self.keys = keys
        self.default_queue = default_queue

    async def enqueue(self, task: Task, queue: str | None, *, require_queue: bool = False) -> Task:
        """Store a new task and put a work item for it into its queue.

        Args:
            task: The task.
            queue: A queue instead of the task's own.
            require_queue: Whether to store nothing if the queue does not exist.
        """
        task = self.prepare(task, queue)
        if require_queue:
            await self.storage.queues.join(task.queue)
        try:
            return await self.put(await self.storage.tasks.save(task, NEVER_STORED), again=False)
        except QueueNotFoundError:
            if require_queue:
                # The queue was deleted between the check and the put.
                with suppress(AjobsError):
                    await self.storage.tasks.delete(task.id)
            raise

    def prepare(self, task: Task, queue: str | None) -> Task:
        """Return a new task as it is to be stored: with its queue, and signed."""
        if task.state not in ENQUEUEABLE_STATES:
            msg = f"task {task.id} is {task.state or 'in an unknown state'}: only new, retry and blocked tasks enqueue"
            raise TaskCannotEnqueueError(msg)
        queue = check_name("queue name", queue or task.queue or self.default_queue)
        task = msgspec.structs.replace(task, queue=queue)
        if self.keys.signer is not None:
            task = sign_task(task, self.keys.signer)
        self._check_room(task)
        return task

    def _check_room(self, task: Task) -> None:
        limit = self.storage.connection.nats.max_payload - ROOM_BYTES
        # Base64 adds a third; the other fields of a new task fit into the room many times over.
        size = len(task.payload or b"") * 4 // 3
        if size > limit:
            msg = (
                f"the payload of task {task.id} takes {size} bytes in its document and the server takes {limit}: "
                "store large data elsewhere and refer to it, or raise the server's max_payload"
            )
            raise PayloadTooLargeError(msg)

    def post(self, task: Task) -> Posted:
        """Begin to put the first work item of a stored task, which `put` ends."""
        return self.storage.items.post(task.queue, task.id, self._headers())

    async def put(
        self, stored: Stored, *, again: bool, posted: Posted | None = None, may_be_there: bool = False
    ) -> Task:
        """Put a work item for a stored task into its queue; the task is stored as ``queue_error`` when that fails.

        Args:
            stored: The task.
            again: Whether it may have been in this queue a short while ago.
            posted: What `post` returned for it.
            may_be_there: Whether another client may put the same item, so that a duplicate counts as success.
        """
        task = stored.task
        try:
            await self.storage.items.put(task.queue, task.id, again=again, headers=self._headers(), posted=posted)
        except AjobsError as e:
            if may_be_there and isinstance(e, DuplicateItemError):
                return task
            failed = msgspec.structs.replace(
                task, state=transition(task, TaskState.QUEUE_ERROR), last_err=error_text(e)
            )
            try:
                await self.storage.tasks.save(failed, stored.revision)
            except TaskChangedError:
                if isinstance(e, RequestTimeoutError):
                    # The put was not confirmed, but a worker has started the task since, so its item was stored.
                    return task
            raise
        return task

    def _headers(self) -> dict[str, str] | None:
        if self._inject is None:
            return None
        headers: dict[str, str] = {}
        self._inject(headers)
        return headers
