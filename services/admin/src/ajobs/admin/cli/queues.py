"""``ajc queues``: make, look at, change, pause, empty and delete queues."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from ajobs.admin.cli.arguments import Csv, Duration, Force, Json, group
from ajobs.admin.cli.documents import queue_document
from ajobs.admin.cli.session import connect
from ajobs.admin.text.human import (
    count_text,
    duration_text,
    limit_text,
    plural,
    size_text,
    time_text,
    when_text,
)
from ajobs.admin.text.output import Column, say, show_fields, show_json, show_table
from ajobs.admin.text.prompts import confirm
from ajobs.client.client import Client
from ajobs.client.storage.queues import QueueInfo
from ajobs.protocol.durations import HOUR_NS, SECOND_NS, as_ns, from_ns
from ajobs.protocol.queue import Queue

app = group("queues", "Make, look at, change, pause, empty and delete queues.")

Negative = Parameter(allow_leading_hyphen=True)
Optional = Annotated[Duration | None, Negative]

COLUMNS: tuple[Column[QueueInfo], ...] = (
    Column("Name", lambda info: info.queue.name, style="bold"),
    Column("Items", lambda info: info.items, count_text, right=True),
    Column("Running", lambda info: info.in_progress, count_text, right=True),
    Column("Size", lambda info: info.size_bytes, size_text, right=True),
    Column("Replicas", lambda info: info.replicas, right=True),
    Column("Max tries", lambda info: info.queue.max_tries, limit_text, right=True),
    Column("Max items", lambda info: info.queue.max_entries, limit_text, right=True),
    Column("Max concurrent", lambda info: info.queue.max_concurrent, limit_text, right=True),
    Column("Run time", lambda info: as_ns(info.queue.max_run_time), duration_text, right=True),
    Column(
        "Paused until",
        lambda info: info.paused_until or "",
        lambda until: until and time_text(until),
        style="yellow",
    ),
)


@app.command(name="new", alias=("add", "n", "a"))
async def new(  # noqa: PLR0913 - a queue's settings
    queue: str,
    /,
    *,
    age: Duration = 0,
    entries: int = 0,
    tries: Annotated[int, Negative] = -1,
    run_time: Duration = HOUR_NS,
    concurrent: int = 100,
    memory: bool = False,
    replicas: int = 1,
    discard_old: bool = False,
    json: Json = False,
) -> None:
    """Make a queue.

    Parameters
    ----------
    queue
        Its name.
    age
        How long an item may wait before it is dropped; 0: for ever.
    entries
        How many items fit; 0: no limit.
    tries
        How often the server hands out an item; -1: no limit but the task's own.
    run_time
        How long a handler may take, and after which a lost worker's item is handed out again.
    concurrent
        How many items all workers together may have in progress.
    memory
        Keep it in the servers' memory.
    replicas
        On how many servers it is kept.
    discard_old
        A full queue drops its oldest item instead of refusing the new one.
    """
    wanted = Queue(
        name=queue,
        max_age=from_ns(age),
        max_entries=entries,
        max_tries=tries,
        max_run_time=from_ns(run_time),
        max_concurrent=concurrent,
        discard_old=discard_old,
    )
    async with connect(replicas=replicas, memory_storage=memory) as client:
        await client.create_queue(wanted)
        await _show(client, queue, json=json)


@app.command(name="list", alias="ls")
async def list_(*, json: Json = False, csv: Csv = False) -> None:
    """List all queues."""
    async with connect() as client:
        found = await client.queues()
    if json:
        show_json({"queues": [queue_document(info) for info in found]})
    else:
        show_queues(found, as_csv=csv)


@app.command(name="delete", alias="rm")
async def delete(queue: str, /, *, force: Force = False) -> None:
    """Delete a queue and the items in it. Its tasks stay stored.

    Parameters
    ----------
    queue
        Its name.
    """
    async with connect() as client:
        items = (await client.queue_info(queue)).items
        confirm(f"Delete queue {queue} with {plural(items, 'item')}?", force=force)
        await client.delete_queue(queue)
    say(f"deleted queue {queue}")


@app.command(name="purge")
async def purge(queue: str, /, *, force: Force = False) -> None:
    """Remove all items from a queue. Their tasks stay stored, and are not run.

    Parameters
    ----------
    queue
        Its name.
    """
    async with connect() as client:
        items = (await client.queue_info(queue)).items
        confirm(f"Remove {plural(items, 'item')} from queue {queue}?", force=force)
        removed = await client.purge_queue(queue)
    say(f"removed {plural(removed, 'item')} from queue {queue}")


@app.command(name="info", alias=("view", "i"))
async def info(queue: str, /, *, json: Json = False) -> None:
    """Show a queue's settings and how it stands.

    Parameters
    ----------
    queue
        Its name.
    """
    async with connect() as client:
        await _show(client, queue, json=json)


@app.command(name="configure", alias=("config", "cfg"))
async def configure(  # noqa: PLR0913 - what can be changed
    queue: str,
    /,
    *,
    age: Optional = None,
    entries: Annotated[int | None, Negative] = None,
    tries: Annotated[int | None, Negative] = None,
    run_time: Optional = None,
    concurrent: Annotated[int | None, Negative] = None,
    replicas: Annotated[int | None, Negative] = None,
    json: Json = False,
) -> None:
    """Change those settings of a queue that are given.

    Parameters
    ----------
    queue
        Its name.
    age
        How long an item may wait before it is dropped; 0: for ever.
    entries
        How many items fit; 0: no limit.
    tries
        How often the server hands out an item; -1: no limit but the task's own.
    run_time
        How long a handler may take, and after which a lost worker's item is handed out again.
    concurrent
        How many items all workers together may have in progress; -1: no limit.
    replicas
        On how many servers it is kept.
    """
    # The lowest numbers are the original's defaults, and mean what leaving an option out means.
    given: dict[str, Any] = {
        "max_age": None if age is None or age == -SECOND_NS else from_ns(age),
        "max_entries": None if entries == -1 else entries,
        "max_tries": None if tries == -2 else tries,
        "max_run_time": None if run_time is None or run_time == -SECOND_NS else from_ns(run_time),
        "max_concurrent": None if concurrent == -2 else concurrent,
        "replicas": None if replicas == -1 else replicas,
    }
    async with connect() as client:
        await client.configure_queue(queue, **{name: value for name, value in given.items() if value is not None})
        await _show(client, queue, json=json)


@app.command(name="pause")
async def pause(
    queue: str, /, *, duration: Annotated[Duration | None, Parameter(name=("--for", "-d"))] = None, json: Json = False
) -> None:
    """Hand out no items of a queue, to any worker. What runs goes on, and tasks can be added.

    Parameters
    ----------
    queue
        Its name.
    duration
        For how long. Default: until it is resumed.
    """
    async with connect() as client:
        await client.pause_queue(queue, duration=None if duration is None else from_ns(duration))
        await _show(client, queue, json=json)


@app.command(name="resume")
async def resume(queue: str, /, *, json: Json = False) -> None:
    """Hand out items of a paused queue again.

    Parameters
    ----------
    queue
        Its name.
    """
    async with connect() as client:
        await client.resume_queue(queue)
        if json:
            show_json(queue_document(await client.queue_info(queue)))
        else:
            say(f"queue {queue} hands out items again")


async def _show(client: Client, name: str, *, json: bool) -> None:
    info = await client.queue_info(name)
    if json:
        show_json(queue_document(info))
    else:
        show_queue(info)


def show_queues(queues: list[QueueInfo], *, as_csv: bool = False) -> None:
    """Print a table of queues, with the column for paused ones when there are some, or a program reads it."""
    is_any_paused = any(info.paused_until for info in queues)
    columns = COLUMNS if is_any_paused or as_csv else COLUMNS[:-1]
    show_table(queues, columns, title="Queues", empty="There are no queues: make one with ajc queue new", as_csv=as_csv)


def show_queue(info: QueueInfo) -> None:
    """Print a queue's settings and how it stands."""
    queue = info.queue
    waiting = max(info.items - info.in_progress, 0)
    has_items = info.items > 0
    show_fields(
        f"Queue {queue.name}",
        [
            ("Items", f"{count_text(info.items)} ({count_text(info.in_progress)} in progress, {waiting:,} waiting)"),
            ("Size", f"{size_text(info.size_bytes)} in {'memory' if info.memory else 'files'}"),
            ("Replicas", str(info.replicas)),
            ("Archive period", duration_text(as_ns(queue.max_age)) if queue.max_age else "for ever"),
            ("Max tries", limit_text(queue.max_tries)),
            ("Max run time", duration_text(as_ns(queue.max_run_time))),
            ("Max concurrent", limit_text(queue.max_concurrent)),
            ("Max items", limit_text(queue.max_entries)),
            ("When full", "drops the oldest item" if queue.discard_old else "refuses new items"),
            ("Workers waiting", count_text(info.pulls)),
            ("Created", when_text(info.created)),
            ("First item", when_text(info.first_item)) if has_items else None,
            ("Last item", when_text(info.last_item)),
            None if info.paused_until is None else ("Paused until", when_text(info.paused_until)),
        ],
    )
