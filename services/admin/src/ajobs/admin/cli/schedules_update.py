"""``ajc schedules update``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ajobs.admin.cli.arguments import Duration, Json
from ajobs.admin.cli.schedule_options import CatchUp, cron_text, set_options, warn_without_queue
from ajobs.admin.cli.schedule_text import print_schedule
from ajobs.admin.cli.session import connect
from ajobs.admin.text.payloads import payload_of
from ajobs.client.schedules.schedules import ScheduleChanges
from ajobs.protocol.errors import ConfigurationError


async def update(  # noqa: PLR0913 - each option is a parameter
    name: str,
    /,
    *,
    schedule: Annotated[str | None, Parameter(name=("--schedule", "-s"))] = None,
    type_: Annotated[str | None, Parameter(name=("--type", "-t"))] = None,
    payload: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    queue: Annotated[str | None, Parameter(name=("--queue", "-q"))] = None,
    deadline: Duration | None = None,
    tries: int | None = None,
    catch_up: CatchUp | None = None,
    catch_up_limit: int | None = None,
    jitter: Duration | None = None,
    json: Json = False,
) -> None:
    """Change settings of a schedule.

    Settings that are not given stay as they are. Ticks before the change are not caught up.

    Parameters
    ----------
    name
        Name of the schedule.
    schedule
        Cron expression; see ajc schedule add.
    type_
        Type of the tasks.
    payload
        Payload; see ajc schedule add.
    queue
        Queue of the tasks.
    deadline
        Time after its tick at which a task may no longer start, 30s or more; 0: no limit.
    tries
        Maximum number of tries of a task.
    catch_up
        Missed ticks to catch up.
    catch_up_limit
        Maximum number of missed ticks to catch up.
    jitter
        Maximum delay of a tick, which spreads tasks out.
    """
    changes: ScheduleChanges = {}
    if schedule is not None:
        changes["schedule"] = cron_text(schedule)
    if type_ is not None:
        changes["task_type"] = type_
    if payload is not None:
        changes["payload"] = payload_of(payload, None, raw=False)
    if queue is not None:
        changes["queue"] = queue
    if catch_up is not None:
        changes["catch_up"] = catch_up
    if catch_up_limit is not None:
        changes["catch_up_limit"] = catch_up_limit
    set_options(changes, deadline, tries, jitter)
    if not changes:
        raise ConfigurationError(
            "nothing to change: give at least one of --schedule, --type, --payload, --queue, --deadline, --tries, "
            "--catch-up, --catch-up-limit, --jitter"
        )
    async with connect() as client:
        changed = await client.schedules.update(name, **changes)
        await warn_without_queue(client, changed.schedule.queue)
    print_schedule(changed, json=json)
