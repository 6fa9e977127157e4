"""JSON documents of things that have none on the wire: fields by name, durations in nanoseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ajobs.client.schedules.schedules import next_due_ns
from ajobs.protocol.durations import as_ns
from ajobs.protocol.timestamps import format_timestamp

if TYPE_CHECKING:
    from ajobs.client.schedules.schedules import ScheduleInfo
    from ajobs.client.storage.queues import QueueInfo
    from ajobs.client.storage.task_store import StoreInfo

_FROM_SERVER = ("stream", "consumer")


def queue_document(info: QueueInfo) -> dict[str, Any]:
    """Return the settings of a queue, named as in the HTTP API, and its counts."""
    fields: dict[str, Any] = msgspec.structs.asdict(info.queue)
    # The names and their order are those of Go's document.
    document = {("max_runtime" if name == "max_run_time" else name): value for name, value in fields.items()}
    document |= {name: as_ns(document[name]) for name in ("max_age", "max_runtime")}
    return document | {
        name: getattr(info, name) for name in info.__struct_fields__ if name not in {"queue", *_FROM_SERVER}
    }


def store_document(info: StoreInfo) -> dict[str, Any]:
    """Return the settings and size of the task store."""
    fields = {name: getattr(info, name) for name in info.__struct_fields__ if name not in _FROM_SERVER}
    return {
        ("retention_ns" if name == "retention" else name): as_ns(value) if name == "retention" else value
        for name, value in fields.items()
    }


def schedule_document(info: ScheduleInfo, runs: int = 1) -> dict[str, Any]:
    """Return a schedule with the settings that Go does not have, and its next ticks."""
    options = info.options
    fields: dict[str, Any] = msgspec.to_builtins(info.schedule)
    return fields | {
        "paused": options.paused,
        "catch_up": options.catch_up,
        "catch_up_limit": options.catch_up_limit,
        "jitter": options.jitter,
        "problem": info.problem,
        "next_runs": [format_timestamp(due_ns) for due_ns in next_due_ns(info, runs)],
    }
