"""What ``--json`` prints of things that are not documents of the wire: fields by name, durations in nanoseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ajobs.protocol.timestamps import format_timestamp

if TYPE_CHECKING:
    from ajobs.client.schedules.schedules import ScheduleInfo
    from ajobs.client.storage.queues import QueueInfo
    from ajobs.client.storage.task_store import StoreInfo

_SERVERS_OWN = ("stream", "consumer")


def queue_document(info: QueueInfo) -> dict[str, Any]:
    """Return a queue's settings, under the names that the HTTP API has for them, and how it stands."""
    fields: dict[str, Any] = msgspec.to_builtins(info.queue)
    return fields | {
        name: getattr(info, name) for name in info.__struct_fields__ if name not in {"queue", *_SERVERS_OWN}
    }


def store_document(info: StoreInfo) -> dict[str, Any]:
    """Return the task store's settings and size."""
    return {name: getattr(info, name) for name in info.__struct_fields__ if name not in _SERVERS_OWN}


def schedule_document(info: ScheduleInfo, runs: int = 1) -> dict[str, Any]:
    """Return a schedule with what it has beyond the original, and its next runs."""
    options = info.options
    fields: dict[str, Any] = msgspec.to_builtins(info.schedule)
    return fields | {
        "paused": options.paused,
        "catch_up": options.catch_up,
        "catch_up_limit": options.catch_up_limit,
        "jitter": options.jitter,
        "problem": info.problem,
        "next_runs": [format_timestamp(run) for run in info.next_runs(runs)],
    }
