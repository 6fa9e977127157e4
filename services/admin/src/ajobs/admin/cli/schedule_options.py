"""The options of the commands that create and change a schedule."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from ajobs.admin.text.printing import complain
from ajobs.client.client import Client
from ajobs.client.schedules.schedules import ScheduleSettings
from ajobs.protocol.durations import MICROSECOND_NS
from ajobs.protocol.errors import QueueNotFoundError

CatchUp = Literal["none", "last", "all"]
_WORDS = frozenset({"yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly", "every"})


def cron_text(text: str) -> str:
    """Return a cron expression, with the ``@`` before words such as ``monthly``, where it may be omitted."""
    zone, separator, rest = text.partition(" ") if text.startswith(("CRON_TZ=", "TZ=")) else ("", "", text)
    return f"{zone}{separator}@{rest}" if rest.partition(" ")[0] in _WORDS else text


def set_options(settings: ScheduleSettings, deadline: int | None, tries: int | None, jitter: int | None) -> None:
    """Add the options that are given to the settings. Durations are in nanoseconds."""
    if deadline is not None:
        settings["deadline"] = timedelta(microseconds=deadline // MICROSECOND_NS) if deadline else None
    if tries is not None:
        settings["max_tries"] = tries
    if jitter is not None:
        settings["jitter"] = timedelta(microseconds=jitter // MICROSECOND_NS)


async def warn_without_queue(client: Client, queue: str) -> None:
    """Print a warning if a queue does not exist."""
    try:
        await client.join_queue(queue)
    except QueueNotFoundError:
        complain(f"queue {queue} does not exist, so tasks of this schedule fail: create it with ajc queue new {queue}")
