"""``ajc schedules add``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ajobs.admin.cli.arguments import Duration, Json, QueueName
from ajobs.admin.cli.schedule_options import CatchUp, cron_text, set_options, warn_without_queue
from ajobs.admin.cli.schedule_text import print_schedule
from ajobs.admin.cli.session import connect, create_stores
from ajobs.admin.text.payloads import payload_of
from ajobs.client.schedules.schedules import ScheduleSettings
from ajobs.protocol.subjects import DEFAULT_QUEUE


async def add(  # noqa: PLR0913 - each option is a parameter
    name: str,
    schedule: str,
    type_: Annotated[str, Parameter(name="TYPE")],
    /,
    *,
    payload: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    queue: QueueName = DEFAULT_QUEUE,
    deadline: Duration | None = None,
    tries: int | None = None,
    catch_up: CatchUp | None = None,
    catch_up_limit: int | None = None,
    jitter: Duration | None = None,
    paused: bool = False,
    json: Json = False,
) -> None:
    """Create a schedule.

    Parameters
    ----------
    name
        Name of the schedule.
    schedule
        Cron expression: five fields such as "0 2 * * mon-fri", a word such as monthly, or "@every 10m". The time zone
        is UTC, or that of a prefix such as "CRON_TZ=Europe/Berlin ".
    type_
        Type of the tasks.
    payload
        Payload: JSON, or any other text, which becomes a JSON string; - reads standard input, @FILE a file.
    queue
        Queue of the tasks.
    deadline
        Time after its tick at which a task may no longer start, 30s or more.
    tries
        Maximum number of tries of a task. Default: 10.
    catch_up
        Missed ticks to catch up. Default: last.
    catch_up_limit
        Maximum number of missed ticks to catch up. Default: 100.
    jitter
        Maximum delay of a tick, which spreads tasks out.
    paused
        Create no tasks until the schedule is resumed.
    """
    settings: ScheduleSettings = {"queue": queue, "payload": payload_of(payload, None, raw=False), "paused": paused}
    set_options(settings, deadline, tries, jitter)
    if catch_up is not None:
        settings["catch_up"] = catch_up
    if catch_up_limit is not None:
        settings["catch_up_limit"] = catch_up_limit
    async with connect() as client:
        await create_stores(client)
        created = await client.schedules.create(name, cron_text(schedule), type_, **settings)
        await warn_without_queue(client, queue)
    print_schedule(created, json=json)
