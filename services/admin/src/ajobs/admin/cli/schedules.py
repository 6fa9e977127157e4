"""``ajc schedules``, and ``ajc tasks cron``: tasks that are made again and again."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from cyclopts import Parameter

from ajobs.admin.cli.arguments import Command, Csv, Duration, Force, Json, QueueName, group
from ajobs.admin.cli.documents import schedule_document
from ajobs.admin.cli.session import connect, make_stores
from ajobs.admin.text.human import duration_text, ns_text, when_text
from ajobs.admin.text.output import Column, complain, say, show_fields, show_json, show_table
from ajobs.admin.text.payloads import payload_of, shown_payload
from ajobs.admin.text.prompts import confirm
from ajobs.client.client import Client
from ajobs.client.schedules.schedules import ScheduleChanges, ScheduleInfo, ScheduleSettings, next_due_ns
from ajobs.protocol.durations import MICROSECOND_NS
from ajobs.protocol.errors import ConfigurationError, QueueNotFoundError
from ajobs.protocol.subjects import DEFAULT_QUEUE
from ajobs.protocol.timestamps import format_timestamp

CatchUp = Literal["none", "last", "all"]
_NONE = "There are no schedules: make one with ajc schedule add"
_WORDS = frozenset({"yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly", "every"})

app = group("schedules", "Manage schedules: tasks that are made again and again.")
cron = group("cron", "Manage schedules; the same as ajc schedules.")


def _state(schedule: ScheduleInfo) -> str:
    if schedule.problem is not None:
        return "broken"
    return "paused" if schedule.options.paused else "active"


def _next_run(schedule: ScheduleInfo) -> str:
    return next(map(format_timestamp, next_due_ns(schedule)), "")


COLUMNS: tuple[Column[ScheduleInfo], ...] = (
    Column("Name", lambda schedule: schedule.name, style="bold"),
    Column("Schedule", lambda schedule: schedule.schedule.schedule, is_long=True),
    Column("Queue", lambda schedule: schedule.schedule.queue),
    Column("Type", lambda schedule: schedule.schedule.task_type),
    Column("State", _state, style=lambda state: {"broken": "red", "paused": "yellow"}.get(state, "green")),
    Column("Next run", _next_run, lambda text: when_text(text) if text else ""),
)


async def add(  # noqa: PLR0913 - what a schedule can be given
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
    """Make a schedule.

    Parameters
    ----------
    name
        Its name.
    schedule
        When: five fields such as "0 2 * * mon-fri", monthly and the like, or "@every 10m"; "CRON_TZ=Europe/Berlin "
        in front says whose clock counts, else it is UTC's.
    type_
        The type of its tasks.
    payload
        Their payload: JSON, or any other text, which becomes a JSON string; - is the standard input, @FILE a file.
    queue
        Their queue.
    deadline
        How long after its tick a task may still be started, 30s or more.
    tries
        How often a task may be started. Default: 10.
    catch_up
        What to do about runs that were missed while no scheduler led. Default: last.
    catch_up_limit
        How many of them to make up for at most. Default: 100.
    jitter
        By how much a run may be late, so that not all begin at once.
    paused
        Make no tasks until it is resumed.
    """
    settings: ScheduleSettings = {"queue": queue, "payload": payload_of(payload, None, raw=False), "paused": paused}
    _set_options(settings, deadline, tries, jitter)
    if catch_up is not None:
        settings["catch_up"] = catch_up
    if catch_up_limit is not None:
        settings["catch_up_limit"] = catch_up_limit
    async with connect() as client:
        await make_stores(client)
        made = await client.schedules.create(name, cron_text(schedule), type_, **settings)
        await _warn_without_queue(client, queue)
    _show(made, json=json)


async def view(name: str, /, *, json: Json = False) -> None:
    """Show a schedule and when it is due.

    Parameters
    ----------
    name
        Its name.
    """
    async with connect() as client:
        _show(await client.schedules.load(name), json=json)


async def delete(name: str, /, *, force: Force = False) -> None:
    """Delete a schedule. Its tasks stay as they are.

    Parameters
    ----------
    name
        Its name.
    """
    async with connect() as client:
        await client.schedules.load(name)
        confirm(f"Delete schedule {name}?", force=force)
        await client.schedules.delete(name)
    say(f"deleted schedule {name}")


async def list_(*, names: bool = False, json: Json = False, csv: Csv = False) -> None:
    """List all schedules.

    Parameters
    ----------
    names
        Only their names, one a line.
    """
    async with connect() as client:
        found = await client.schedules.all()
    if json:
        show_json({"schedules": [each.name if names else schedule_document(each) for each in found]})
    elif names:
        for each in found:
            say(each.name)
    else:
        show_table(
            found,
            COLUMNS,
            title="Schedules",
            empty="There are no schedules: make one with ajc schedule add",
            as_csv=csv,
        )


async def update(  # noqa: PLR0913 - what can be changed
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
    """Change those settings of a schedule that are given. It has no runs before the change.

    Parameters
    ----------
    name
        Its name.
    schedule
        When; see ajc schedule add.
    type_
        The type of its tasks.
    payload
        Their payload; see ajc schedule add.
    queue
        Their queue.
    deadline
        How long after its tick a task may still be started, 30s or more; 0: no limit.
    tries
        How often a task may be started.
    catch_up
        What to do about runs that were missed while no scheduler led.
    catch_up_limit
        How many of them to make up for at most.
    jitter
        By how much a run may be late.
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
    _set_options(changes, deadline, tries, jitter)
    if not changes:
        raise ConfigurationError("say what to change: --schedule, --type, --payload, --queue, --deadline, --tries, ...")
    async with connect() as client:
        changed = await client.schedules.update(name, **changes)
        await _warn_without_queue(client, changed.schedule.queue)
    _show(changed, json=json)


async def pause(name: str, /, *, json: Json = False) -> None:
    """Make no tasks of a schedule until it is resumed. A scheduler of the original goes on.

    Parameters
    ----------
    name
        Its name.
    """
    async with connect() as client:
        _show(await client.schedules.pause(name), json=json)


async def resume(name: str, /, *, json: Json = False) -> None:
    """Make tasks of a paused schedule again, from its next run on.

    Parameters
    ----------
    name
        Its name.
    """
    async with connect() as client:
        _show(await client.schedules.resume(name), json=json)


async def run(name: str, /, *, json: Json = False) -> None:
    """Make one task of a schedule now, besides its runs, and print its id.

    Parameters
    ----------
    name
        Its name.
    """
    async with connect() as client:
        task = await client.schedules.run_now(name)
    if json:
        show_json(task)
    else:
        say(task.id)


async def next_(
    name: str | None = None,
    /,
    *,
    count: Annotated[int, Parameter(name=("--count", "-n"))] = 10,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Show the next runs, of one schedule or of all.

    Parameters
    ----------
    name
        A schedule. Default: all of them.
    count
        How many runs.
    """
    if count < 1:
        raise ConfigurationError(f"--count is {count}: use 1 or more")
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
    show_table(runs, columns, title="Next runs", empty="Nothing is due: no schedule is active.", as_csv=csv)


def cron_text(text: str) -> str:
    """Return a cron text, with the ``@`` in front of words such as ``monthly`` that may be left out."""
    zone, separator, rest = text.partition(" ") if text.startswith(("CRON_TZ=", "TZ=")) else ("", "", text)
    return f"{zone}{separator}@{rest}" if rest.partition(" ")[0] in _WORDS else text


def _set_options(settings: ScheduleSettings, deadline: int | None, tries: int | None, jitter: int | None) -> None:
    if deadline is not None:
        settings["deadline"] = timedelta(microseconds=deadline // MICROSECOND_NS) if deadline else None
    if tries is not None:
        settings["max_tries"] = tries
    if jitter is not None:
        settings["jitter"] = timedelta(microseconds=jitter // MICROSECOND_NS)


async def _warn_without_queue(client: Client, queue: str) -> None:
    try:
        await client.join_queue(queue)
    except QueueNotFoundError:
        complain(f"there is no queue {queue} yet, its tasks would fail: make it with ajc queue new {queue}")


def _show(info: ScheduleInfo, *, json: bool) -> None:
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
            ("Missed runs", _catch_up_text(options.catch_up, options.catch_up_limit)),
            ("Jitter", f"up to {duration_text(options.jitter)}") if options.jitter else None,
            ("Created", when_text(schedule.created_at)),
            ("Next runs", next_runs) if next_runs else None,
        ],
    )


def _catch_up_text(catch_up: str, limit: int) -> str:
    texts = {
        "none": "are let go",
        "last": "the last is made up for",
        "all": f"are made up for, the last {limit:,} of them",
    }
    return texts[catch_up]


for _each in (app, cron):
    _each.command(add, name="add", alias=("new", "a"))
    _each.command(view, name="view", alias=("show", "v"))
    _each.command(delete, name="delete", alias=("del", "rm"))
    _each.command(list_, name="list", alias="ls")
    _each.command(update, name="update")
    _each.command(pause, name="pause")
    _each.command(resume, name="resume")
    _each.command(run, name="run")
    _each.command(next_, name="next")
    Command("scheduler", (), "processing:scheduler", "Make tasks from schedules, until told to stop.").mount(_each)
