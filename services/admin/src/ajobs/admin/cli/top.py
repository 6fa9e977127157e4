"""``ajc top``."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from ajobs.admin.cli import session
from ajobs.admin.cli.arguments import Duration, Json, Switch
from ajobs.admin.text.printing import console, is_terminal, say, show_json
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import AjobsError


async def top(
    *,
    queue: Annotated[str | None, Parameter(name=("--queue", "-q"))] = None,
    sort: Literal["items", "rate", "failures", "oldest", "name"] = "items",
    types: Literal["slowest", "failing", "busiest"] = "slowest",
    once: Switch = False,
    sample: Duration = 2 * SECOND_NS,
    json: Json = False,
) -> int:
    """Watch queues, workers, rates and failures live.

    Runs until q or Ctrl-C. Without a terminal, or with --once or --json, it prints one snapshot.

    Parameters
    ----------
    queue
        Queue to show. Default: all queues.
    sort
        Order of the queues.
    types
        Order of the task types.
    once
        Print one snapshot instead of a live screen.
    sample
        How long to count rates for a snapshot.
    """
    from ajobs.admin.top.screen import Choices  # slow to import, and not needed for a help page

    choices = Choices(queue_sort=sort, type_sort=types, queue=queue)
    async with session.connect() as client:
        if queue is not None:
            await client.join_queue(queue)
        if json or once or not is_terminal():
            await _print_once(client, choices, sample, as_json=json)
            return 0
        from ajobs.admin.top.live import show

        return await show(client, choices)


async def _print_once(client: Any, choices: Any, sample_ns: int, *, as_json: bool) -> None:
    from ajobs.admin.top.gathering import poll, take_events
    from ajobs.admin.top.model import TopModel
    from ajobs.admin.top.screen import snapshot

    model = TopModel(time.monotonic())
    async with client.watch() as events:
        taking = asyncio.create_task(take_events(events, model), name="take events")
        await asyncio.sleep(sample_ns / SECOND_NS)
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
    try:
        model.note_poll(await poll(client), time.monotonic())
    except* AjobsError as e:
        raise e.exceptions[0] from None
    view = model.view(time.monotonic(), queue=choices.queue)
    if as_json:
        show_json(view)
        return
    if is_terminal():
        out = console()
        for line in snapshot(view, choices, time.time_ns(), out.width):
            out.print(line, soft_wrap=True, end="\n")
    else:
        for line in snapshot(view, choices, time.time_ns()):
            say(line.plain.rstrip())
