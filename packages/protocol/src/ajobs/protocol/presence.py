"""Presence: the document in which a worker process announces itself."""

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
    concurrency: int
    queues: tuple[WorkerQueue, ...]
    handlers: tuple[str, ...]
    """The task types and prefixes of its handlers."""
    running: tuple[RunningTask, ...] = ()
    """At most `MOST_RUNNING` of them."""
    running_count: int = 0
    counters: dict[str, int] = {}
    """The number of tries since the start, by the state in which they ended."""


MOST_RUNNING = 500
"""The maximum of listed tasks, which keeps the document small."""

_decode = msgspec.json.Decoder(WorkerPresence).decode


def decode_presence(data: bytes) -> WorkerPresence:
    """Decode the presence of a worker.

    Raises:
        DecodeError: Not a presence document.
    """
    try:
        return _decode(data)
    except (msgspec.MsgspecError, ValueError) as e:
        raise DecodeError(f"corrupt worker presence: {e}") from e
