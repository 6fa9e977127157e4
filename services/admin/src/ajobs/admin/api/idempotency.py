"""One task for one ``Idempotency-Key``, whichever replicas its requests reach, and wherever one of them crashes.

What a key stands for is kept for ten minutes in a bucket that all replicas share. The steps, each of which may be
repeated by whoever comes next with the same key:

1. *Reserve*: write the key with a hash of the request and the id and time of the task to come, unless it is there. One
   writer wins; all others go on with what it wrote, if the hash is that of their own request.
2. *Store* the task under the reserved id. The store takes one task by an id; who comes second finds it.
3. *Note* with the key that the task is stored. Nothing was put into a queue before, so a task that is noted and is not
   there has run and was discarded, or was deleted: it is not made again.
4. *Put* its work item. The queue drops a second one.

A crash after 1 leaves a reservation that the next request fills, after 2 or 3 a task without an item, which the next
request puts, or the janitor.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple

import msgspec

from ajobs.admin.api.errors import ApiError
from ajobs.client.client import Client
from ajobs.client.identifiers import new_id
from ajobs.client.nats.requests import NoRespondersError
from ajobs.client.storage.jetstream.api import MESSAGE_NOT_FOUND, STREAM_NOT_FOUND
from ajobs.client.storage.jetstream.buckets import Bucket, RevisionError
from ajobs.client.storage.provision import bucket_config, ensure_stream
from ajobs.client.storage.tasks import NEVER_STORED, Stored
from ajobs.protocol.durations import MINUTE_NS
from ajobs.protocol.errors import (
    StorageError,
    StorageNotReadyError,
    TaskAlreadyActiveError,
    TaskAlreadyExistsError,
    TaskChangedError,
    TaskNotFoundError,
)
from ajobs.protocol.states import TaskState
from ajobs.protocol.subjects import IDEMPOTENCY_BUCKET, item_subject, queue_stream
from ajobs.protocol.task import Task

TTL_NS = 10 * MINUTE_NS
MAX_KEY = 128

MakeTask = Callable[[str, int], Task]
"""Makes the task, given its id and the nanoseconds since 1970 of its making."""


class Reservation(msgspec.Struct, frozen=True):
    """What a key stands for."""

    by: str
    """Unique for the request that made it."""
    request: str
    """A hash of what was asked for."""
    task_id: str
    created_ns: int
    stored: bool = False


_decode = msgspec.json.Decoder(Reservation).decode
_encode = msgspec.json.encode


class Key(NamedTuple):
    """A key, whose it is, and the request in a form that is the same whenever the request is."""

    owner: str
    """Keys of different owners have nothing to do with one another."""
    text: str
    request: bytes


class Once(NamedTuple):
    """The task of a key, and whether it is an earlier request's."""

    task: Task
    repeated: bool


class Idempotency:
    """Keys, and the tasks that they stand for."""

    def __init__(self, client: Client, *, make: bool = True) -> None:
        """Keep keys where the client's other data is, and make the bucket when it is missing, if that is wanted."""
        self._client = client
        self._make = make
        storage = client.storage
        self._storage = storage
        self._bucket = Bucket(storage.connection, storage.jetstream, IDEMPOTENCY_BUCKET)

    async def prepare(self) -> None:
        """Make the bucket if it is missing."""
        options = self._client.options
        config = bucket_config(
            IDEMPOTENCY_BUCKET,
            "Choria Async Jobs Idempotency Keys",
            replicas=options.replicas,
            memory=options.memory_storage,
            ttl_ns=TTL_NS,
        )
        await ensure_stream(self._storage.jetstream, config)

    async def enqueue(self, key: Key, task_id: str, created_ns: int, make: MakeTask) -> Once:
        """Enqueue the task of a key, unless that was done.

        Args:
            key: The key.
            task_id: The task's id, should it be made now.
            created_ns: When it was made, likewise.
            make: Makes the task.

        Raises:
            ApiError: The key was used for another request.
            TaskAlreadyExistsError: The id is taken by another task.
            AjobsError: As `Client.enqueue` does.
        """
        name = sha256(f"{key.owner}\n{key.text}".encode()).hexdigest()
        wanted = Reservation(new_id(), sha256(key.request).hexdigest(), task_id, created_ns)
        try:
            reserved, revision = await self._reserve(name, wanted)
        except (NoRespondersError, StorageError) as e:
            if isinstance(e, StorageError) and e.err_code != STREAM_NOT_FOUND:
                raise
            if not self._make:
                raise StorageNotReadyError(
                    f"bucket {IDEMPOTENCY_BUCKET} does not exist: run one server without --no-storage-init"
                ) from e
            await self.prepare()
            reserved, revision = await self._reserve(name, wanted)
        if reserved.request != wanted.request:
            raise ApiError(
                "this Idempotency-Key was used for another request: use a new key, or repeat the same body",
                code="conflict", reason="idempotency_key_reused", field="Idempotency-Key",
            )  # fmt: skip
        repeated = reserved.by != wanted.by
        task = self._client.enqueuer.prepare(make(reserved.task_id, reserved.created_ns), None)
        return Once(await self._finish(name, reserved, revision, task, repeated=repeated), repeated)

    async def _reserve(self, name: str, wanted: Reservation) -> tuple[Reservation, int]:
        while True:
            try:
                return wanted, await self._bucket.create(name, _encode(wanted))
            except RevisionError:
                entry = await self._bucket.get(name)
            if entry is not None:
                return _decode(entry.value), entry.revision
            # It ran out between the two: now it can be made.

    async def _finish(self, name: str, reserved: Reservation, revision: int, task: Task, *, repeated: bool) -> Task:
        stored = await self._stored(task, only_look=reserved.stored)
        if stored is None:
            return task
        if not reserved.stored:
            try:
                await self._bucket.update(name, _encode(msgspec.structs.replace(reserved, stored=True)), revision)
            except RevisionError:
                # Somebody with the same key was as far at the same moment.
                repeated = True
        if stored.task.state is TaskState.QUEUE_ERROR:
            return await self._again(stored.task)
        if stored.task.state not in {TaskState.NEW, TaskState.BLOCKED}:
            return stored.task
        if repeated and await self._has_item(stored.task):
            return stored.task
        return await self._client.enqueuer.put(stored, again=False, may_be_there=True)

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
            raise TaskAlreadyExistsError(f"task {task.id} exists already, and is another one: use another id")
        return stored

    async def _again(self, task: Task) -> Task:
        """Enqueue a task that its queue did not take."""
        try:
            return await self._client.retry(task.id)
        except (TaskChangedError, TaskAlreadyActiveError):
            # Somebody with the same key did.
            return (await self._storage.tasks.load(task.id)).task

    async def _has_item(self, task: Task) -> bool:
        body = {"last_by_subj": item_subject(task.queue, task.id)}
        try:
            await self._storage.jetstream.ask_raw(f"STREAM.MSG.GET.{queue_stream(task.queue)}", body)
        except StorageError as e:
            if e.err_code not in {MESSAGE_NOT_FOUND, STREAM_NOT_FOUND}:
                raise
            # There is none any more, when a worker took it meanwhile.
            current = await self._stored(task, only_look=True)
            return current is None or current.task.state is not task.state
        return True
