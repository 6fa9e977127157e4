"""The task store: one subject a task, every save a compare-and-set."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from ajobs.client.nats.requests import NoRespondersError, NotConnectedError
from ajobs.client.observability import metrics
from ajobs.client.storage.events import EventPublisher
from ajobs.client.storage.jetstream.api import JetStream, no_task_store
from ajobs.client.storage.jetstream.errors import MessageNotFoundError, RevisionError, StreamNotFoundError, error_of
from ajobs.client.storage.jetstream.publish import Message, Posted, publish_patiently
from ajobs.protocol import headers
from ajobs.protocol.codec import decode_task, encode
from ajobs.protocol.errors import (
    CorruptTaskError,
    RequestTimeoutError,
    StorageError,
    TaskAlreadyExistsError,
    TaskChangedError,
    TaskNotFoundError,
)
from ajobs.protocol.headers import header_block, status_of
from ajobs.protocol.subjects import TASKS_STREAM, task_subject
from ajobs.protocol.task import Task

NEVER_STORED = 0
"""The revision of a task that is not in the store."""


class Stored(NamedTuple):
    """A task and the stream sequence under which it is stored."""

    task: Task
    revision: int


class _Message(msgspec.Struct, gc=False):
    seq: int
    data: bytes = b""


class _MessageAnswer(msgspec.Struct, gc=False):
    message: _Message


_EXPECTED = header_block({headers.EXPECTED_LAST_SUBJECT_SEQUENCE: "%d"})
_SEQUENCE = f"\r\n{headers.SEQUENCE}: ".encode()
MAX_SEQUENCE_DIGITS = 20

_decode_message = msgspec.json.Decoder(_MessageAnswer).decode


class TaskStore:
    """Loads, saves and deletes tasks."""

    def __init__(self, jetstream: JetStream, events: EventPublisher) -> None:
        """Announce saves through ``events``."""
        self._jetstream = jetstream
        self._requests = jetstream.requests
        self._events = events
        self._direct_get_subject = jetstream.subject(f"DIRECT.GET.{TASKS_STREAM}.{task_subject('')}")
        self.direct_get = False
        """Whether the stream answers direct gets. Set when the store is provisioned."""
        self.direct_is_exact = False
        """Whether a direct get cannot be stale, because there is one replica only."""

    def post(self, task: Task, revision: int) -> Posted:
        """Begin a `save` without waiting for its end."""
        return _message(task, revision).post(self._requests)

    async def save(self, task: Task, revision: int, *, announce: bool = True, posted: Posted | None = None) -> Stored:
        """Store a task in place of the revision that it was made from, and announce its state.

        While the server cannot be reached the save is repeated: compare-and-set makes that safe, and distinguishes
        a save of ours whose answer was lost from a save by another client.

        Args:
            task: The task.
            revision: What it was loaded or saved as; `NEVER_STORED` for a new one.
            announce: Whether to publish the state event.
            posted: What `post` returned for the same task and revision.

        Raises:
            TaskAlreadyExistsError: A new task's id is taken.
            TaskChangedError: Another client has saved or deleted the task since.
            PayloadTooLargeError: The task is larger than a message may be.
            StorageNotReadyError: The task store does not exist.
            RequestTimeoutError: The server could not be reached for so long that it is not known whether it is saved.
        """
        try:
            if posted is None:
                posted = self.post(task, revision)
                if self._requests.is_full:
                    await self._requests.flush()
            # The fast path: nearly always the first attempt is confirmed.
            ack = await posted.accepted()
            sequence = await self._compare_and_set(task, revision, posted) if ack is None else ack.seq
        except Exception:
            metrics.TASK_UPDATE_ERRORS.inc()
            raise
        self.note_saved(task, announce=announce)
        return Stored(task, sequence)

    def note_saved(self, task: Task, *, announce: bool = True) -> None:
        """Count a save that was accepted, and announce the task's state."""
        metrics.TASK_UPDATES.inc(task.state)
        if announce:
            self._events.announce(task)

    async def _compare_and_set(self, task: Task, revision: int, posted: Posted) -> int:
        try:
            ack, uncertain = await publish_patiently(self._jetstream, posted.message, posted)
        except NoRespondersError as e:
            raise no_task_store() from e
        if ack.error is None:
            return ack.seq
        error = error_of(ack.error, f"task {task.id}")
        if not isinstance(error, RevisionError):
            raise error
        # After an attempt without an answer, the revision in the way may be that very attempt.
        sequence = await self._sequence_of(task.id, posted.message.data) if uncertain else None
        if sequence is None:
            raise _lost(task, revision)
        return sequence

    async def _sequence_of(self, task_id: str, data: bytes) -> int | None:
        """Return the sequence under which exactly these bytes are stored, if they are."""
        try:
            message = await self._get(task_id)
        except TaskNotFoundError:
            return None
        return message.seq if message.data == data else None

    async def load(self, task_id: str) -> Stored:
        """Load a task as it is now.

        Raises:
            TaskNotFoundError: No task has this id.
            CorruptTaskError: What is stored cannot be decoded.
            StorageNotReadyError: The task store does not exist.
        """
        if self.direct_is_exact:
            stored = await self._direct_get(task_id)
            if stored is not None:
                return stored
        message = await self._get(task_id)
        return Stored(_decode(task_id, message.data), message.seq)

    async def load_hint(self, task_id: str) -> Stored:
        """Load a task as some replica has it, which may be a little behind. Raises as `load` does.

        Good for what a compare-and-set guards afterwards. Anything final needs `load`.
        """
        if self.direct_get:
            stored = await self._direct_get(task_id)
            if stored is not None:
                return stored
        return await self.load(task_id)

    async def load_many(self, task_ids: Sequence[str]) -> dict[str, Task | None]:
        """Load several tasks as they are now; ``None`` stands for one that is not stored."""
        loaded = await asyncio.gather(*(self._load_or_none(task_id) for task_id in task_ids))
        return dict(zip(task_ids, loaded, strict=True))

    async def _load_or_none(self, task_id: str) -> Task | None:
        try:
            return (await self.load(task_id)).task
        except TaskNotFoundError:
            return None

    async def _direct_get(self, task_id: str) -> Stored | None:
        subject = self._direct_get_subject + task_id
        began = time.monotonic()
        try:
            try:
                reply = await self._requests.request(subject)
            except (RequestTimeoutError, NotConnectedError):
                reply = await self._jetstream.patiently(lambda: self._requests.request(subject), since=began)
        except NoRespondersError:
            return None
        raw = reply.raw_headers
        if status_of(raw):
            return None
        # The server adds its headers after those that the writer of the message chose.
        sequence = raw[raw.rfind(_SEQUENCE) + len(_SEQUENCE) :].partition(b"\r\n")[0]
        if not sequence.isdigit() or len(sequence) > MAX_SEQUENCE_DIGITS:
            return None
        return Stored(_decode(task_id, reply.data), int(sequence))

    async def _get(self, task_id: str) -> _Message:
        try:
            raw = await self._jetstream.ask_raw(
                f"STREAM.MSG.GET.{TASKS_STREAM}", {"last_by_subj": task_subject(task_id)}
            )
        except MessageNotFoundError as e:
            msg = f"task {task_id} is not stored: it was never enqueued, was deleted, or is past its retention"
            raise TaskNotFoundError(msg) from e
        except StreamNotFoundError as e:
            raise no_task_store() from e
        return _decode_message(raw).message

    async def delete(self, task_id: str, revision: int | None = None) -> None:
        """Delete a task, and only the given revision of it when there is one.

        Raises:
            TaskNotFoundError: No task has this id.
            TaskChangedError: Another client has saved the task since that revision.
        """
        sequence = (await self._get(task_id)).seq if revision is None else revision
        # Overwriting the bytes in the server's files too would take it 8 ms a task, in which it does nothing else.
        body = {"seq": sequence, "no_erase": True}
        try:
            await self._jetstream.call(f"STREAM.MSG.DELETE.{TASKS_STREAM}", body)
        except StorageError as e:
            msg = f"task {task_id} was changed or deleted by another client: load it again"
            raise TaskChangedError(msg) from e


def _message(task: Task, revision: int) -> Message:
    return Message(TASKS_STREAM, task_subject(task.id), encode(task), _EXPECTED % revision)


def _decode(task_id: str, data: bytes) -> Task:
    try:
        task = decode_task(data)
    except CorruptTaskError as e:
        msg = f"what is stored for task {task_id} cannot be read: {e}; delete the task, or repair it"
        raise CorruptTaskError(msg) from e
    if task.id != task_id:
        msg = f"what is stored for task {task_id} is task {task.id}: delete the task, or repair it"
        raise CorruptTaskError(msg)
    return task


def _lost(task: Task, revision: int) -> TaskChangedError | TaskAlreadyExistsError:
    if revision == NEVER_STORED:
        return TaskAlreadyExistsError(f"task {task.id} exists already: use another id, or load and retry it")
    return TaskChangedError(f"task {task.id} was changed by another client since revision {revision}: load it again")
