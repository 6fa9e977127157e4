"""What a worker tells about itself while it lives."""

from __future__ import annotations

import msgspec

from ajobs.protocol.errors import DecodeError


class WorkerQueue(msgspec.Struct, frozen=True, kw_only=True):
    """A queue that a worker takes tasks from."""

    name: str
    concurrency: int
    weight: int = 1
    running: int = 0


class RunningTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task that a handler of the worker has."""

    id: str
    type: str
    queue: str
    started: str
    """When this try began, as RFC 3339."""


class WorkerPresence(msgspec.Struct, frozen=True, kw_only=True):
    """One worker process. Times are RFC 3339."""

    id: str
    """Unique for this start of the process."""
    name: str
    host: str
    pid: int
    version: str
    state: str
    """``running``, or ``draining`` when it takes no more tasks."""
    started: str
    updated: str
    concurrency: int
    queues: tuple[WorkerQueue, ...]
    handlers: tuple[str, ...]
    """The task types and prefixes that it has handlers for."""
    running: tuple[RunningTask, ...] = ()
    """At most `MOST_RUNNING` of them."""
    running_count: int = 0
    counters: dict[str, int] = {}
    """How many tries ended in which state since the start."""


MOST_RUNNING = 500
"""How many running tasks a worker lists, so that its document stays small."""

_decode = msgspec.json.Decoder(WorkerPresence).decode


def decode_presence(data: bytes) -> WorkerPresence:
    """Decode what a worker told.

    Raises:
        DecodeError: The bytes are no such document.
    """
    try:
        return _decode(data)
    except (msgspec.MsgspecError, ValueError) as e:
        raise DecodeError(f"corrupt worker document: {e}") from e
