"""Measure the cost of the preset ``isolated`` compared with ``trusted``: ``make bench-authorization``.

A producer and a worker in this process use the keys of their roles against two nats-servers with file storage, one per
preset, in alternating rounds. It prints the rates of both, their ratio, and the server's CPU time per task.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from contextlib import AsyncExitStack

from rich.console import Console
from rich.table import Table

from ajobs.client import Client
from ajobs.worker import Router, Worker, WorkerOptions
from benchmarks.floor import CALLERS, rate
from benchmarks.machine import cpu_s
from benchmarks.sizes import sizes
from scripts.nats_accounts import PRESETS
from tests.integration.accounts import Accounts, accounts

TASKS = sizes(quick="--quick" in sys.argv).tasks
ROUNDS = 3

Figures = dict[str, float]


async def measure(stack: Accounts) -> Figures:
    """Return tasks per second, and the server's CPU microseconds per task, of each workload."""
    figures: Figures = {}
    router = Router()

    @router.handler("t")
    async def nothing() -> None:
        """Return at once."""

    async def timed(name: str, producer: Client, workload: str) -> None:
        pid = stack.server.pid or 0
        before = cpu_s(pid)
        if workload == "one by one":
            figures[name] = await rate(TASKS, CALLERS, lambda number: producer.enqueue("t", number))
        else:
            began = time.perf_counter()
            await producer.enqueue_many(producer.new_task("t", number) for number in range(TASKS))
            figures[name] = TASKS / (time.perf_counter() - began)
        figures[f"{name}, server CPU us"] = (cpu_s(pid) - before) / TASKS * 1e6

    async with stack.connect("producer", queue="BENCH") as producer, stack.connect("worker", queue="BENCH") as client:
        await timed("enqueue one by one", producer, "one by one")
        await timed("enqueue in bulk", producer, "bulk")
        for slots in (32, 128):
            info = await client.queue_info("BENCH")
            before, began = cpu_s(stack.server.pid or 0), time.perf_counter()
            async with Worker(client, router, WorkerOptions(concurrency=slots)).running():
                while (left := (await client.queue_info("BENCH")).items) > max(0, info.items - TASKS):
                    await asyncio.sleep(0.02)
            done, took = info.items - left, time.perf_counter() - began
            figures[f"process, {slots} slots"] = done / took
            figures[f"process, {slots} slots, server CPU us"] = (cpu_s(stack.server.pid or 0) - before) / done * 1e6
    return figures


async def main() -> int:
    rounds: dict[str, list[Figures]] = {preset: [] for preset in PRESETS}
    async with AsyncExitStack() as closing:
        stacks = {preset: await closing.enter_async_context(accounts("BENCH", preset=preset)) for preset in PRESETS}
        for number in range(ROUNDS):
            for preset in PRESETS if number % 2 == 0 else reversed(PRESETS):
                print(f"round {number + 1} of {ROUNDS}: {preset}", file=sys.stderr)
                rounds[preset].append(await measure(stacks[preset]))
    table = Table("", *PRESETS, "isolated / trusted")
    for name in rounds["isolated"][0]:
        isolated, trusted = (statistics.median(each[name] for each in rounds[preset]) for preset in PRESETS)
        table.add_row(name, f"{isolated:,.0f}", f"{trusted:,.0f}", f"{isolated / trusted:.2f}")
    Console().print(f"{ROUNDS} rounds of {TASKS:,} tasks in turn, medians; rates are tasks per second")
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
