"""Queues as they are shown to people."""

from __future__ import annotations

from ajobs.admin.cli.documents import queue_document
from ajobs.admin.text.human import count_text, duration_text, limit_text, pause_end_text, size_text, when_text
from ajobs.admin.text.printing import show_fields, show_json
from ajobs.admin.text.tables import Column, show_table
from ajobs.client.client import Client
from ajobs.client.storage.queues import QueueInfo
from ajobs.protocol.durations import as_ns

COLUMNS: tuple[Column[QueueInfo], ...] = (
    Column("Name", lambda info: info.queue.name, style="bold"),
    Column("Items", lambda info: info.items, count_text, right=True),
    Column("Running", lambda info: info.in_progress, count_text, right=True),
    Column("Size", lambda info: info.size_bytes, size_text, right=True, dropped=2),
    Column("Replicas", lambda info: info.replicas, right=True, dropped=3),
    Column("Max tries", lambda info: info.queue.max_tries, limit_text, right=True),
    Column("Max items", lambda info: info.queue.max_entries, limit_text, right=True, dropped=1),
    Column("Max concurrent", lambda info: info.queue.max_concurrent, limit_text, right=True),
    Column("Run time", lambda info: as_ns(info.queue.max_run_time), duration_text, right=True),
    Column(
        "Paused until",
        lambda info: info.paused_until or "",
        lambda until: until and pause_end_text(until),
        style="yellow",
    ),
)


async def print_queue(client: Client, name: str, *, json: bool) -> None:
    """Load a queue and print it."""
    info = await client.queue_info(name)
    if json:
        show_json(queue_document(info))
    else:
        show_queue(info)


def show_queues(queues: list[QueueInfo], *, as_csv: bool = False) -> None:
    """Print a table of queues. The column for pauses is shown if a queue is paused, and always in CSV."""
    is_any_paused = any(info.paused_until for info in queues)
    columns = COLUMNS if is_any_paused or as_csv else COLUMNS[:-1]
    show_table(queues, columns, title="Queues", empty="No queues: create one with ajc queue new.", as_csv=as_csv)


def show_queue(info: QueueInfo) -> None:
    """Print the settings and counts of a queue."""
    queue = info.queue
    waiting = max(info.items - info.in_progress, 0)
    has_items = info.items > 0
    show_fields(
        f"Queue {queue.name}",
        [
            ("Items", f"{count_text(info.items)} ({count_text(info.in_progress)} in progress, {waiting:,} waiting)"),
            ("Size", f"{size_text(info.size_bytes)} in {'memory' if info.memory else 'files'}"),
            ("Replicas", str(info.replicas)),
            ("Max age", duration_text(as_ns(queue.max_age)) if queue.max_age else "without limit"),
            ("Max tries", limit_text(queue.max_tries)),
            ("Max run time", duration_text(as_ns(queue.max_run_time))),
            ("Max concurrent", limit_text(queue.max_concurrent)),
            ("Max items", limit_text(queue.max_entries)),
            ("When full", "drops the oldest item" if queue.discard_old else "refuses new items"),
            ("Workers waiting", count_text(info.pulls)),
            ("Created", when_text(info.created)),
            ("First item", when_text(info.first_item)) if has_items else None,
            ("Last item", when_text(info.last_item)),
            None if info.paused_until is None else ("Paused until", pause_end_text(info.paused_until, when_text)),
        ],
    )
