"""What ``--json`` prints of things that are not documents of the wire: fields by name, durations in nanoseconds."""

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

_SERVERS_OWN = ("stream", "consumer")


def queue_document(info: QueueInfo) -> dict[str, Any]:
    """Return a queue's settings, under the names that the HTTP API has for them, and how it stands."""
    fields: dict[str, Any] = msgspec.structs.asdict(info.queue)
    # The key order is that of Go's document, and so are the names.
    document = {("max_runtime" if name == "max_run_time" else name): value for name, value in fields.items()}
    document |= {name: as_ns(document[name]) for name in ("max_age", "max_runtime")}
    return document | {
        name: getattr(info, name) for name in info.__struct_fields__ if name not in {"queue", *_SERVERS_OWN}
    }


def store_document(info: StoreInfo) -> dict[str, Any]:
    """Return the task store's settings and size."""
    fields = {name: getattr(info, name) for name in info.__struct_fields__ if name not in _SERVERS_OWN}
    return {
        ("retention_ns" if name == "retention" else name): as_ns(value) if name == "retention" else value
        for name, value in fields.items()
    }


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
        "next_runs": [format_timestamp(due_ns) for due_ns in next_due_ns(info, runs)],
    }
