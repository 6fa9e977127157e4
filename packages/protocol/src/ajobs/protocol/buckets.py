"""Key-value buckets: the configuration of each, and the documents that only they hold.

A bucket is a stream with one message for each key. Schedules and presences have modules of their own.
"""

from __future__ import annotations

import msgspec

from ajobs.protocol.durations import MINUTE_NS, SECOND_NS
from ajobs.protocol.errors import DecodeError
from ajobs.protocol.names import check_name
from ajobs.protocol.queue import UNLIMITED, StreamConfig
from ajobs.protocol.subjects import (
    CONFIGURATION_BUCKET,
    ELECTIONS_BUCKET,
    IDEMPOTENCY_BUCKET,
    WORKERS_BUCKET,
    bucket_stream,
    key_subject,
)
from ajobs.protocol.timestamps import Timestamp, parse_timestamp

ELECTION_TTL_NS = 10 * SECOND_NS
"""How long a leader leads without renewing its key, as in Choria Async Jobs."""
PRESENCE_TTL_NS = 20 * SECOND_NS
"""How long a worker is listed after its last announcement."""
IDEMPOTENCY_TTL_NS = 10 * MINUTE_NS
"""How long an idempotency key is kept."""
DUPLICATE_WINDOW_NS = 2 * MINUTE_NS


class Reservation(msgspec.Struct, frozen=True):
    """The request that an idempotency key stands for, and the task that it creates."""

    by: str
    """A unique id of the call that wrote the reservation."""
    request: str
    """A hash of the request."""
    task_id: str
    created_ns: int
    """The time of creation of the task, in nanoseconds since 1970. The years of tasks, 1 to 9999, exceed 64 bits."""
    stored: bool = False
    """Whether the task is stored."""


class SchedulerProgress(msgspec.Struct, frozen=True):
    """How far the leading scheduler has come."""

    done_until: Timestamp
    """Every tick that was due up to this time is handled."""
    leader: str


_decode_reservation = msgspec.json.Decoder(Reservation).decode
_decode_progress = msgspec.json.Decoder(SchedulerProgress).decode


def decode_reservation(data: bytes) -> Reservation:
    """Return the document of an idempotency key.

    Raises:
        DecodeError: It is not a valid reservation.
    """
    try:
        reservation = _decode_reservation(data)
        check_name("task id", reservation.task_id)
    except (msgspec.MsgspecError, ValueError, RecursionError) as e:
        raise DecodeError(f"invalid idempotency reservation: {e}") from e
    return reservation


def decode_progress(data: bytes) -> SchedulerProgress:
    """Return the document of the scheduler's progress.

    Raises:
        DecodeError: It is not a valid progress document.
    """
    try:
        progress = _decode_progress(data)
        parse_timestamp(progress.done_until)
    except (msgspec.MsgspecError, ValueError, RecursionError) as e:
        raise DecodeError(f"invalid scheduler progress: {e}") from e
    return progress


def configuration_bucket(*, replicas: int, memory: bool) -> StreamConfig:
    """Return the configuration of the bucket for schedules."""
    return bucket_config(CONFIGURATION_BUCKET, "Choria Async Jobs Configuration", replicas=replicas, memory=memory)


def elections_bucket(*, replicas: int, memory: bool) -> StreamConfig:
    """Return the configuration of the bucket for leader elections."""
    return bucket_config(
        ELECTIONS_BUCKET,
        "Choria Async Jobs Leader Elections",
        replicas=replicas,
        memory=memory,
        ttl_ns=ELECTION_TTL_NS,
    )


def presence_bucket(*, replicas: int) -> StreamConfig:
    """Return the configuration of the bucket for the presence of workers: in memory, because it is short-lived."""
    return bucket_config(
        WORKERS_BUCKET, "Choria Async Jobs Workers", replicas=replicas, memory=True, ttl_ns=PRESENCE_TTL_NS
    )


def idempotency_bucket(*, replicas: int, memory: bool) -> StreamConfig:
    """Return the configuration of the bucket for idempotency keys."""
    return bucket_config(
        IDEMPOTENCY_BUCKET,
        "Choria Async Jobs Idempotency Keys",
        replicas=replicas,
        memory=memory,
        ttl_ns=IDEMPOTENCY_TTL_NS,
    )


def bucket_config(name: str, description: str, *, replicas: int, memory: bool, ttl_ns: int = 0) -> StreamConfig:
    """Return the configuration of the stream that holds a key-value bucket.

    Args:
        name: The bucket's name.
        description: For people.
        replicas: On how many servers it is stored.
        memory: Whether it is stored in memory instead of in files.
        ttl_ns: Nanoseconds that a value is kept; 0: until it is deleted.
    """
    return {
        "name": bucket_stream(name),
        "description": description,
        "subjects": [key_subject(name, ">")],
        "retention": "limits",
        "discard": "new",
        "max_consumers": UNLIMITED,
        "max_msgs": UNLIMITED,
        "max_bytes": UNLIMITED,
        "max_msg_size": UNLIMITED,
        "max_msgs_per_subject": 1,
        "max_age": ttl_ns,
        # The server refuses a window that is longer than messages live.
        "duplicate_window": min(ttl_ns or DUPLICATE_WINDOW_NS, DUPLICATE_WINDOW_NS),
        "num_replicas": replicas,
        "allow_rollup_hdrs": True,
        "deny_delete": True,
        "allow_direct": True,
        "storage": "memory" if memory else "file",
    }
