"""The demo's progress display and its summary."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ajobs.client import Client, Task, TaskState
from ajobs.protocol.codec import decode_result
from ajobs.protocol.errors import UnavailableError
from ajobs.protocol.events import TaskStateEvent
from ajobs.protocol.states import FINAL_STATES
from ajobs.protocol.timestamps import parse_timestamp
from examples.demo.plan import Plan
from examples.demo.tasks import Report

COLOURS = {
    TaskState.NEW: "white",
    TaskState.BLOCKED: "magenta",
    TaskState.ACTIVE: "cyan",
    TaskState.RETRY: "yellow",
    TaskState.COMPLETE: "green",
    TaskState.TERMINATED: "red",
    TaskState.EXPIRED: "red",
}
BAR_WIDTH = 40
SILENCE_S = 2.0
GIVE_UP_S = 120.0
"""Seconds without an event after which the demo stops waiting."""


class States(NamedTuple):
    """The last known state of each task, the number of retries, and the total time in seconds."""

    by_task: dict[str, TaskState]
    retries: int
    elapsed_s: float


async def show_progress(client: Client, plan: Plan, check: Callable[[], None], console: Console) -> States:
    """Enqueue the plan's tasks and follow their events until all are finished."""
    states: dict[str, TaskState] = {}
    retries = 0
    began = last_event = time.monotonic()
    with Live(console=console, refresh_per_second=10, transient=True) as live:
        async with client.watch() as events:
            enqueuing = asyncio.create_task(client.enqueue_many(plan.tasks))
            while any(states.get(task_id) not in FINAL_STATES for task_id in plan.expected):
                try:
                    async with asyncio.timeout(SILENCE_S):
                        event = await anext(events)
                except TimeoutError:
                    check()
                    # Events are not stored, so look up the states whose events may be lost.
                    states |= {task.id: task.state async for task in client.tasks()}
                    if time.monotonic() - last_event > GIVE_UP_S:
                        break
                    continue
                if isinstance(event, TaskStateEvent):
                    last_event = time.monotonic()
                    states[event.task_id] = event.state
                    retries += event.state is TaskState.RETRY
                    live.update(_bar(states, len(plan.expected)))
        result = await enqueuing
    if result.failed:
        first = result.failed[0]
        msg = f"{len(result.failed)} tasks could not be enqueued; first error: {first.error}"
        raise UnavailableError(msg)
    return States(states, retries, time.monotonic() - began)


def _bar(states: dict[str, TaskState], total: int) -> Text:
    counts = Counter(states.values())
    bar = Text()
    for state, colour in reversed(COLOURS.items()):
        bar.append("━" * round(BAR_WIDTH * counts[state] / total), style=colour)
    bar.append(" " * (BAR_WIDTH + 1 - len(bar.plain)))
    finished = sum(counts[state] for state in FINAL_STATES)
    bar.append(f"{finished}/{total}", style="bold")
    for state, colour in COLOURS.items():
        if counts[state]:
            bar.append(f"  {state} {counts[state]}", style=colour)
    return bar


def show_summary(plan: Plan, states: States, tasks: list[Task], console: Console) -> bool:
    """Show states, throughput and latency. Return whether every task is in its expected state."""
    stored = {task.id: task for task in tasks}
    table = Table("state", "tasks", "expected", title="Final states", title_justify="left")
    counts = Counter(task.state for task in tasks)
    expected = Counter(plan.expected.values())
    for state in sorted(counts | expected):
        right = counts[state] == expected[state]
        table.add_row(state, str(counts[state]), str(expected[state]), style=None if right else "red")
    console.print(table)

    figures = Table(show_header=False, box=None)
    figures.add_row("retried", f"{states.retries} tasks")
    figures.add_row("throughput", f"{_throughput(tasks):,.0f} digests/s, first start to last result")
    figures.add_row("created to started", _spread([_ms(task.created, task.tried) for task in tasks if task.tried]))
    figures.add_row(
        "started to result", _spread([_ms(task.tried, task.result.completed) for task in tasks if task.result])
    )
    figures.add_row("total time", f"{states.elapsed_s:.1f} s; a blocked task checks its parents every 5 s")
    figures.add_row("report", _report(stored[plan.report_id]))
    console.print(figures)

    wrong = [
        f"{task_id} is {stored[task_id].state if task_id in stored else 'not stored'} instead of {state}"
        for task_id, state in plan.expected.items()
        if task_id not in stored or stored[task_id].state is not state
    ]
    for line in wrong[:10]:
        console.print(f"[red]{line}[/]")
    console.print("[bold red]unexpected states[/]" if wrong else "[bold green]every task is in its expected state[/]")
    return not wrong


def _report(task: Task) -> str:
    return decode_result(task.result, Report).path if task.result else "not written"


def _throughput(tasks: list[Task]) -> float:
    ran = [task for task in tasks if task.type == "file:digest" and task.tried and task.result]
    if not ran:
        return 0.0
    first = min(parse_timestamp(task.tried) for task in ran if task.tried)
    last = max(parse_timestamp(task.result.completed) for task in ran if task.result)
    return len(ran) / max((last - first) / 1e9, 1e-9)


def _ms(start: str | None, end: str) -> float:
    return 0.0 if start is None else (parse_timestamp(end) - parse_timestamp(start)) / 1e6


def _spread(values_ms: list[float]) -> str:
    if len(values_ms) < 2:
        return "too few values"
    cuts = statistics.quantiles(values_ms, n=100, method="inclusive")
    return f"p50 {cuts[49]:,.1f} ms, p95 {cuts[94]:,.1f} ms, p99 {cuts[98]:,.1f} ms"
