"""Putting tasks into queues: new ones, many at once, and again."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import msgspec

from ajobs.client.nats.requests import NoRespondersError
from ajobs.client.observability.tracing import Inject
from ajobs.client.options import Keys
from ajobs.client.storage.items import PerhapsOwnItemError
from ajobs.client.storage.jetstream.publish import Posted
from ajobs.client.storage.storage import Storage
from ajobs.client.storage.tasks import NEVER_STORED, Stored
from ajobs.client.tasks.repeats import check_repeatable
from ajobs.client.tasks.unfinished import Unfinished
from ajobs.protocol.decisions import error_text, retried
from ajobs.protocol.errors import (
    AjobsError,
    DuplicateItemError,
    PayloadTooLargeError,
    PermissionDeniedError,
    QueueNotFoundError,
    RequestTimeoutError,
    TaskAlreadyExistsError,
    TaskCannotEnqueueError,
    TaskChangedError,
    TaskNotFoundError,
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
        self.unfinished = Unfinished()
        """What continues in the background after a cancellation."""

    async def enqueue(self, task: Task, queue: str | None, *, require_queue: bool = False) -> Task:
        """Store a new task and put a work item for it into its queue, or complete an earlier attempt to do so.

        A cancellation between the two writes has the rest done in the background.

        Args:
            task: The task.
            queue: A queue instead of the task's own.
            require_queue: Whether to store nothing if the queue does not exist.
        """
        task = self.prepare(task, queue)
        if require_queue:
            await self.storage.queues.join(task.queue)
        stored: Stored | None = None
        try:
            try:
                stored = await self.storage.tasks.save(task, NEVER_STORED)
            except TaskAlreadyExistsError:
                return await self.repeat(task)
            return await self.put(stored, again=False)
        except asyncio.CancelledError:
            self.unfinished.start(self.complete(task, stored), f"enqueue task {task.id}")
            raise
        except QueueNotFoundError:
            if require_queue and stored is not None:
                # The queue was deleted between the check and the put.
                with suppress(AjobsError):
                    await self.storage.tasks.delete(task.id)
            raise

    async def complete(self, task: Task, stored: Stored | None) -> None:
        """Enqueue a prepared task whose enqueuing was cancelled after it was ``stored``, or before that is known."""
        if stored is None:
            try:
                stored = await self.storage.tasks.save(task, NEVER_STORED)
            except TaskAlreadyExistsError:
                await self.repeat(task)
                return
        await self.put(stored, again=False, may_be_there=True)

    async def repeat(self, task: Task) -> Task:
        """Return the stored task with the id of a prepared one, after making sure that it has its item.

        Raises:
            TaskAlreadyExistsError: The stored task has other content, or was started before.
            AjobsError: As `put` does.
        """
        try:
            stored = await self.storage.tasks.load(task.id)
        except TaskNotFoundError:
            # It was deleted or discarded since, so the id can be used again.
            return await self.put(await self.storage.tasks.save(task, NEVER_STORED), again=False)
        check_repeatable(stored.task, task)
        if stored.task.state is TaskState.QUEUE_ERROR:
            try:
                return await self.put(await self.storage.tasks.save(retried(stored.task), stored.revision), again=True)
            except TaskChangedError:
                # Another client repeats it at the same time.
                return (await self.storage.tasks.load(task.id)).task
        if await self.has_item(stored.task):
            return stored.task
        return await self.put(stored, again=False, may_be_there=True)

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
        limit = self.storage.max_payload - ROOM_BYTES
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
        self,
        stored: Stored,
        *,
        again: bool,
        posted: Posted | None = None,
        may_be_there: bool = False,
        ids_run_once: bool = False,
    ) -> Task:
        """Put a work item for a stored task into its queue; the task is stored as ``queue_error`` when that fails.

        The server drops an item if the queue had one with this id in the last two minutes. If that was the item of an
        earlier task with this id, the new task gets another one.

        Args:
            stored: The task.
            again: Whether it may have been in this queue a short while ago.
            posted: What `post` returned for it.
            may_be_there: Whether another call may have put the item of this task.
            ids_run_once: Whether an id stands for one run, so that a dropped item is an error.
        """
        task = stored.task
        try:
            try:
                await self.storage.items.put(task.queue, task.id, again=again, headers=self._headers(), posted=posted)
            except DuplicateItemError as e:
                perhaps_ours = isinstance(e, PerhapsOwnItemError)
                if not ids_run_once:
                    await self._settle(stored, may_be_there=may_be_there or perhaps_ours)
                elif not perhaps_ours:
                    raise
        except AjobsError as e:
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

    async def _settle(self, stored: Stored, *, may_be_there: bool) -> None:
        """Make sure that a task has an item after the server dropped one as a duplicate."""
        task = stored.task
        if may_be_there and await self.has_item(task):
            return
        try:
            current = await self.storage.tasks.load(task.id)
        except TaskNotFoundError:
            return  # it ran and was discarded, or was deleted
        if current.revision == stored.revision:
            # An item with this id replaces the one that may be there: there is never a second one.
            await self.storage.items.put(task.queue, task.id, again=True, headers=self._headers())

    async def has_item(self, task: Task) -> bool:
        """Return whether the queue of a task is known to hold its item."""
        try:
            return await self.storage.items.exists(task.queue, task.id)
        except (PermissionDeniedError, NoRespondersError):
            # The role of producers may not read queues.
            return False

    def _headers(self) -> dict[str, str] | None:
        if self._inject is None:
            return None
        headers: dict[str, str] = {}
        self._inject(headers)
        return headers
