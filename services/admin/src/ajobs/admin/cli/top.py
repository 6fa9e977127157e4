"""``ajc top``."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from ajobs.admin.cli import session
from ajobs.admin.cli.arguments import Duration, Json
from ajobs.admin.text import output
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import AjobsError

Switch = Annotated[bool, Parameter(negative=(), show_default=False)]


async def top(
    *,
    queue: Annotated[str | None, Parameter(name=("--queue", "-q"))] = None,
    sort: Literal["items", "rate", "failures", "oldest", "name"] = "items",
    types: Literal["slowest", "failing", "busiest"] = "slowest",
    once: Switch = False,
    sample: Duration = 2 * SECOND_NS,
    json: Json = False,
) -> int:
    """Show queues, workers, rates, task types and failures as they are right now, until q or Ctrl-C.

    Without a terminal, and with --once or --json, prints how it stands once.

    Parameters
    ----------
    queue
        Show this queue only.
    sort
        What the queues are sorted by.
    types
        Which task types come first.
    once
        Print how it stands once, instead of a screen.
    sample
        For how long rates are counted before that.
    """
    from ajobs.admin.top.screen import Choices  # with the client and rich, for which a help page need not wait

    choices = Choices(queue_sort=sort, type_sort=types, queue=queue)
    async with session.connect() as client:
        if queue is not None:
            await client.join_queue(queue)
        if json or once or not output.is_terminal():
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
        output.show_json(view)
        return
    lines = snapshot(view, choices, time.time_ns())
    if output.is_terminal():
        out = output.console()
        for line in lines:
            out.print(line, soft_wrap=True, end="\n")
    else:
        for line in lines:
            output.say(line.plain.rstrip())
