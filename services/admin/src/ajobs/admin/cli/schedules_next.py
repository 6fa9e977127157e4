"""``ajc schedules next``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ajobs.admin.cli.arguments import Csv, Json
from ajobs.admin.cli.session import connect
from ajobs.admin.text.human import when_text
from ajobs.admin.text.printing import show_json
from ajobs.admin.text.tables import Column, show_table
from ajobs.client.schedules.schedules import ScheduleInfo, next_due_ns
from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.timestamps import format_timestamp


async def next_(
    name: str | None = None,
    /,
    *,
    count: Annotated[int, Parameter(name=("--count", "-n"))] = 10,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Show the next ticks of one schedule or all.

    Parameters
    ----------
    name
        Name of the schedule. Default: all schedules.
    count
        Number of ticks.
    """
    if count < 1:
        raise ConfigurationError(f"invalid --count {count}: use 1 or more")
    async with connect() as client:
        found = await client.schedules.all() if name is None else [await client.schedules.load(name)]
    runs = sorted((run_ns, each.name, each) for each in found for run_ns in next_due_ns(each, count))[:count]
    if json:
        show_json({"runs": [{"time": format_timestamp(run_ns), "schedule": each} for run_ns, each, _ in runs]})
        return
    columns: tuple[Column[tuple[int, str, ScheduleInfo]], ...] = (
        Column("Time", lambda run: format_timestamp(run[0]), when_text),
        Column("Name", lambda run: run[1], style="bold"),
        Column("Queue", lambda run: run[2].schedule.queue),
        Column("Type", lambda run: run[2].schedule.task_type),
    )
    show_table(runs, columns, title="Next ticks", empty="No ticks: no schedule is active.", as_csv=csv)
