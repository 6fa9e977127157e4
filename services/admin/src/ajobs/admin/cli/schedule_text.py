"""Schedules as they are shown to people."""

from __future__ import annotations

from ajobs.admin.cli.documents import schedule_document
from ajobs.admin.text.human import duration_text, ns_text, when_text
from ajobs.admin.text.payloads import shown_payload
from ajobs.admin.text.printing import show_fields, show_json
from ajobs.admin.text.tables import Column
from ajobs.client.schedules.schedules import ScheduleInfo, next_due_ns
from ajobs.protocol.timestamps import format_timestamp


def _state(schedule: ScheduleInfo) -> str:
    if schedule.problem is not None:
        return "broken"
    return "paused" if schedule.options.paused else "active"


def _next_tick(schedule: ScheduleInfo) -> str:
    return next(map(format_timestamp, next_due_ns(schedule)), "")


COLUMNS: tuple[Column[ScheduleInfo], ...] = (
    Column("Name", lambda schedule: schedule.name, style="bold"),
    Column("Schedule", lambda schedule: schedule.schedule.schedule, is_long=True),
    Column("Queue", lambda schedule: schedule.schedule.queue, dropped=1),
    Column("Type", lambda schedule: schedule.schedule.task_type, dropped=2),
    Column("State", _state, style=lambda state: {"broken": "red", "paused": "yellow"}.get(state, "green")),
    Column("Next tick", _next_tick, lambda text: when_text(text) if text else ""),
)


def print_schedule(info: ScheduleInfo, *, json: bool) -> None:
    """Print a schedule and its next ticks."""
    if json:
        show_json(schedule_document(info, runs=5))
        return
    schedule, options = info.schedule, info.options
    next_runs = ", ".join(map(ns_text, next_due_ns(info, 3)))
    show_fields(
        f"Schedule {info.name}",
        [
            ("Schedule", schedule.schedule),
            ("State", _state(info)),
            None if info.problem is None else ("Problem", info.problem),
            ("Task type", schedule.task_type),
            ("Queue", schedule.queue),
            ("Payload", shown_payload(schedule.payload)),
            ("Deadline", f"{duration_text(schedule.deadline)} after the tick") if schedule.deadline else None,
            ("Max tries", f"{schedule.max_tries:,}") if schedule.max_tries else None,
            ("Missed ticks", _catch_up_text(options.catch_up, options.catch_up_limit)),
            ("Jitter", f"up to {duration_text(options.jitter)}") if options.jitter else None,
            ("Created", when_text(schedule.created_at)),
            ("Next ticks", next_runs) if next_runs else None,
        ],
    )


def _catch_up_text(catch_up: str, limit: int) -> str:
    texts = {
        "none": "skipped",
        "last": "one task for the last",
        "all": f"one task for each, at most {limit:,}",
    }
    return texts[catch_up]
