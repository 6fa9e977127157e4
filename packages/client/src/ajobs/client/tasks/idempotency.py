"""One task for one idempotency key, across clients, repeated requests and crashes.

A bucket that all clients share keeps a key for ten minutes. Any client that uses the same key may repeat each step:

1. *Reserve*: write the key with a hash of the request and the id and time of the future task, unless the key exists.
   One writer wins. The others continue with its reservation, if their own request has the same hash.
2. *Store* the task under the reserved id. The store accepts one task for an id; a later client finds it.
3. *Note* in the bucket that the task is stored. No item has been put before, so a noted task that is not in the store
   has run and was discarded, or was deleted. It is not created again.
4. *Put* its work item. The queue drops a second one.

A crash after step 1 leaves a reservation that the next request fills. A crash after step 2 or 3 leaves a task without
an item, which the next request or the janitor handles.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple, Unpack

import msgspec

from ajobs.client.identifiers import new_id
from ajobs.client.nats.requests import NoRespondersError
from ajobs.client.options import ClientOptions
from ajobs.client.storage.jetstream.errors import RevisionError, StreamNotFoundError
from ajobs.client.storage.tasks import NEVER_STORED, Stored
from ajobs.client.tasks.enqueue import Enqueuer
from ajobs.client.tasks.new import TaskOptions, make_task
from ajobs.client.tasks.retry import retry_task
from ajobs.protocol.buckets import Reservation, decode_reservation, idempotency_bucket
from ajobs.protocol.codec import encode
from ajobs.protocol.durations import as_ns
from ajobs.protocol.errors import (
    IdempotencyKeyReusedError,
    InvalidIdempotencyKeyError,
    StorageNotReadyError,
    TaskAlreadyActiveError,
    TaskAlreadyExistsError,
    TaskChangedError,
    TaskNotFoundError,
)
from ajobs.protocol.states import TaskState
from ajobs.protocol.subjects import IDEMPOTENCY_BUCKET
from ajobs.protocol.task import Task
from ajobs.protocol.timestamps import format_timestamp, parse_timestamp

MAX_KEY = 128
"""Characters of a key at most."""
_is_key = re.compile(f"[!-~]{{1,{MAX_KEY}}}").fullmatch

MakeTask = Callable[[str, int], Task]
"""Creates the task, given its id and its time of creation in nanoseconds since 1970."""


class Key(NamedTuple):
    """A key, its owner, and the request in canonical form."""

    owner: str
    """Keys of different owners are independent of each other."""
    text: str
    request: bytes


class Once(NamedTuple):
    """The task of a key."""

    task: Task
    repeated: bool
    """Whether an earlier call created the task."""


class Idempotency:
    """Enqueues one task for each key."""

    def __init__(self, enqueuer: Enqueuer, options: ClientOptions, *, create: bool = True) -> None:
        """Keep keys in the storage of ``enqueuer``.

        Args:
            enqueuer: Enqueues the tasks.
            options: Replicas and storage of the bucket.
            create: Whether to create a missing bucket.
        """
        self._enqueuer = enqueuer
        self._options = options
        self._create = create
        self._storage = enqueuer.storage
        self._bucket = self._storage.bucket(IDEMPOTENCY_BUCKET)

    async def prepare(self) -> None:
        """Create the bucket if it is missing."""
        config = idempotency_bucket(replicas=self._options.replicas, memory=self._options.memory_storage)
        await self._storage.create_stream(config)

    async def enqueue_task(
        self, key: str, owner: str, task_type: str, payload: Any, **options: Unpack[TaskOptions]
    ) -> Once:
        """Enqueue a task unless it was done. See `Client.enqueue_once`."""
        task = make_task(task_type, payload, **options)

        def make(task_id: str, created_ns: int) -> Task:
            return msgspec.structs.replace(task, id=task_id, created=format_timestamp(created_ns))

        request = _request_of(task, options)
        return await self.enqueue(Key(owner, key, request), task.id, parse_timestamp(task.created), make)

    async def enqueue(self, key: Key, task_id: str, created_ns: int, make: MakeTask) -> Once:
        """Enqueue the task of a key, unless that was done.

        Args:
            key: The key.
            task_id: The id of the task, if this call creates it.
            created_ns: Its time of creation in nanoseconds since 1970, if this call creates it.
            make: Creates the task.

        Raises:
            InvalidIdempotencyKeyError: The key is empty, too long, or has spaces or characters outside ASCII.
            IdempotencyKeyReusedError: The key was used for another request.
            TaskAlreadyExistsError: Another task has this id.
            StorageNotReadyError: The bucket does not exist, and may not be created.
            AjobsError: As `Client.enqueue` does.
        """
        if _is_key(key.text) is None:
            shown = key.text if len(key.text) <= MAX_KEY else f"{key.text[:20]}..."
            raise InvalidIdempotencyKeyError(
                f"invalid idempotency key {shown!r}: use 1 to {MAX_KEY} printable ASCII characters without spaces"
            )
        name = sha256(f"{key.owner}\n{key.text}".encode()).hexdigest()
        wanted = Reservation(new_id(), sha256(key.request).hexdigest(), task_id, created_ns)
        reserved, revision = await self._reserve_in_bucket(name, wanted)
        if reserved.request != wanted.request:
            msg = "this idempotency key was used for another request: use a new key, or repeat the same request"
            raise IdempotencyKeyReusedError(msg)
        repeated = reserved.by != wanted.by
        task = self._enqueuer.prepare(make(reserved.task_id, reserved.created_ns), None)
        finish = self._finish(name, reserved, revision, task, repeated=repeated)
        return Once(await self._enqueuer.unfinished.shield(finish, f"enqueue task {task.id}"), repeated)

    async def _reserve_in_bucket(self, name: str, wanted: Reservation) -> tuple[Reservation, int]:
        """Reserve a key, and create the bucket first if it is missing."""
        try:
            return await self._reserve(name, wanted)
        except (NoRespondersError, StreamNotFoundError) as e:
            if not self._create:
                raise StorageNotReadyError(
                    f"bucket {IDEMPOTENCY_BUCKET} does not exist: run one server without --no-storage-init"
                ) from e
        await self.prepare()
        return await self._reserve(name, wanted)

    async def _reserve(self, name: str, wanted: Reservation) -> tuple[Reservation, int]:
        while True:
            try:
                return wanted, await self._bucket.create(name, encode(wanted))
            except RevisionError:
                entry = await self._bucket.get(name)
            if entry is not None:
                return decode_reservation(entry.value), entry.revision
            # The key expired between the two calls, so it can be created now.

    async def _finish(self, name: str, reserved: Reservation, revision: int, task: Task, *, repeated: bool) -> Task:
        stored = await self._stored(task, only_look=reserved.stored)
        if stored is None:
            return task
        if not reserved.stored:
            try:
                await self._bucket.update(name, encode(msgspec.structs.replace(reserved, stored=True)), revision)
            except RevisionError:
                # Another client with the same key was faster.
                repeated = True
        if stored.task.state is TaskState.QUEUE_ERROR:
            return await self._again(stored.task)
        if stored.task.state not in {TaskState.NEW, TaskState.BLOCKED}:
            return stored.task
        if repeated and await self._has_item(stored.task):
            return stored.task
        return await self._enqueuer.put(stored, again=False, may_be_there=True)

    async def _stored(self, task: Task, *, only_look: bool) -> Stored | None:
        tasks = self._storage.tasks
        if not only_look:
            try:
                return await tasks.save(task, NEVER_STORED)
            except TaskAlreadyExistsError:
                pass
        try:
            stored = await tasks.load(task.id)
        except TaskNotFoundError:
            return None
        if (stored.task.created, stored.task.type) != (task.created, task.type):
            raise TaskAlreadyExistsError(f"task {task.id} already exists with other content: use a different id")
        return stored

    async def _again(self, task: Task) -> Task:
        """Enqueue a task that its queue refused before."""
        try:
            return await retry_task(self._enqueuer, task.id, None, force=False)
        except (TaskChangedError, TaskAlreadyActiveError):
            # Another client with the same key retried it.
            return (await self._storage.tasks.load(task.id)).task

    async def _has_item(self, task: Task) -> bool:
        if await self._enqueuer.has_item(task):
            return True
        # A worker that ran the task meanwhile has removed the item.
        current = await self._stored(task, only_look=True)
        return current is None or current.task.state is not task.state


def _request_of(task: Task, options: TaskOptions) -> bytes:
    """Return the parts of a request that its repeats have in common: not the time, and not an id of ours."""
    deadline = options.get("deadline")
    if isinstance(deadline, datetime):
        deadline = deadline.timestamp()
    elif deadline is not None:
        deadline = f"in {as_ns(deadline, 'deadline', signed=True)} ns"
    parts = (task.type, task.payload, task.queue, task.max_tries, task.dependencies, task.load_dependencies)
    return msgspec.json.encode((*parts, options.get("task_id"), deadline))
