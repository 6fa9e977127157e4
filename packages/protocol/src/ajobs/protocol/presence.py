"""Presence: the document in which a worker process announces itself."""

from __future__ import annotations

import msgspec

from ajobs.protocol.errors import DecodeError
from ajobs.protocol.names import check_name, check_stored_queue
from ajobs.protocol.task import Count


class WorkerQueue(msgspec.Struct, frozen=True, kw_only=True):
    """A queue that a worker takes tasks from."""

    name: str
    concurrency: Count
    weight: Count = 1
    running: Count = 0


class RunningTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task that a handler of the worker runs."""

    id: str
    type: str
    queue: str
    started: str
    """When this try began, as RFC 3339."""


class WorkerPresence(msgspec.Struct, frozen=True, kw_only=True):
    """One worker process. Times are RFC 3339."""

    id: str
    """Unique for each start of the process."""
    name: str
    host: str
    pid: int
    version: str
    state: str
    """``running``, or ``draining`` when it accepts no more tasks."""
    started: str
    updated: str
    concurrency: Count
    queues: tuple[WorkerQueue, ...]
    handlers: tuple[str, ...]
    """The task types and prefixes of its handlers."""
    running: tuple[RunningTask, ...] = ()
    """At most `MOST_RUNNING` of them."""
    running_count: Count = 0
    counters: dict[str, Count] = {}
    """The number of tries since the start, by the state in which they ended."""


MOST_RUNNING = 500
"""The maximum of listed tasks, which keeps the document small."""

_decode = msgspec.json.Decoder(WorkerPresence).decode


def decode_presence(data: bytes) -> WorkerPresence:
    """Decode the presence of a worker.

    Raises:
        DecodeError: Not a presence document, or it holds an invalid name.
    """
    try:
        return _checked(_decode(data))
    except (msgspec.MsgspecError, ValueError, RecursionError) as e:
        raise DecodeError(f"corrupt worker presence: {e}") from e


def _checked(worker: WorkerPresence) -> WorkerPresence:
    check_name("worker id", worker.id)
    for queue in worker.queues:
        check_stored_queue(queue.name)
    if len(worker.running) > MOST_RUNNING:
        raise ValueError(f"{len(worker.running):,} running tasks: there can be {MOST_RUNNING}")
    for task in worker.running:
        check_name("task id", task.id)
        check_stored_queue(task.queue)
    return worker
