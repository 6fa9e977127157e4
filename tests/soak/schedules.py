"""Stress-test three schedulers with a schedule that is due every second: ``make soak-scheduler``.

The leader is killed, asked to stop, and paused past its lease; its key is deleted and overwritten; the server is
restarted. The exit status is 0 if every tick has exactly one task. It prints how late the tasks were.
"""

from __future__ import annotations

import asyncio
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ajobs.client import Client, Queue
from ajobs.client.storage.jetstream.buckets import Bucket
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.schedule import tick_id
from ajobs.protocol.subjects import ELECTIONS_BUCKET, SCHEDULER_ELECTION
from ajobs.protocol.timestamps import parse_timestamp
from ajobs.testing.nats_server import NatsServer

MINUTES = 4.0
NAMES = ("one", "two", "three")
CALM_S = 25.0
"""Seconds between two faults: an election takes up to 17.5."""
END_S = 40.0
LATE_S = (0.01, 0.05, 0.25, 1, 5, 10, 15, 20, 30)

console = Console()


class Schedulers:
    """The scheduler processes."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._log = (folder / "schedulers.log").open("wb")
        self._processes: dict[str, asyncio.subprocess.Process] = {}

    async def start(self, name: str) -> None:
        self._processes[name] = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ajobs.scheduler.main", "--name", name, "--server", self._url,
            stdout=self._log, stderr=self._log,
        )  # fmt: skip

    async def end(self, name: str, number: signal.Signals) -> None:
        self._processes[name].send_signal(number)
        await self._processes[name].wait()
        await self.start(name)

    async def pause(self, name: str, seconds: float) -> None:
        self._processes[name].send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        self._processes[name].send_signal(signal.SIGCONT)

    async def stop(self) -> None:
        for process in self._processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self._processes.values():
            await process.wait()
        self._log.close()


async def inject(kind: str, schedulers: Schedulers, bucket: Bucket, server: NatsServer) -> None:
    entry = await bucket.get(SCHEDULER_ELECTION)
    leader = entry.value.decode() if entry is not None and entry.value.decode() in NAMES else random.choice(NAMES)
    console.print(f"{kind}: {leader} leads", style="dim")
    match kind:
        case "killed":
            await schedulers.end(leader, signal.SIGKILL)
        case "asked to stop":
            await schedulers.end(leader, signal.SIGTERM)
        case "paused past its lease":
            await schedulers.pause(leader, 15)
        case "key deleted":
            await bucket.delete(SCHEDULER_ELECTION)
        case "key overwritten":
            await bucket.put(SCHEDULER_ELECTION, b"nonsense")
        case _:
            server.kill()
            await server.start()


FAULTS = ("killed", "asked to stop", "paused past its lease", "key deleted", "key overwritten", "server restarted")


async def soak(minutes: float, folder: Path) -> int:
    async with NatsServer.run() as server, Client.connect(server.url, queue=Queue(name="Q")) as client:
        bucket = Bucket(client.storage.connection, client.storage.jetstream, ELECTIONS_BUCKET)
        schedulers = Schedulers(server.url, folder)
        injected: Counter[str] = Counter()
        try:
            for name in NAMES:
                await schedulers.start(name)
            await asyncio.sleep(CALM_S)  # the first leader finds no stored progress and starts at the current time
            info = await client.schedules.create(
                "s", "@every 1s", "t", queue="Q", catch_up="all", catch_up_limit=10_000
            )
            end, number = time.monotonic() + minutes * 60, 0
            while time.monotonic() < end:
                kind = FAULTS[number % len(FAULTS)]
                await inject(kind, schedulers, bucket, server)
                injected[kind] += 1
                number += 1
                await asyncio.sleep(CALM_S)
            await asyncio.sleep(END_S)
        finally:
            await schedulers.stop()
        start = parse_timestamp(info.schedule.created_at)
        numbers = {tick_id("s", start + n * SECOND_NS): n for n in range(1, 100_000)}
        late: dict[int, float] = {}
        async for task in client.tasks():
            tick = numbers[task.id]
            late[tick] = (parse_timestamp(task.created) - start) / SECOND_NS - tick
        items = (await client.queue_info()).items
    return judge(late, items, injected)


def judge(late: dict[int, float], items: int, injected: Counter[str]) -> int:
    missing = sorted(set(range(1, max(late) + 1)) - late.keys())
    table = Table("late by up to", "tasks")
    for low, high in zip((0, *LATE_S), LATE_S, strict=False):
        table.add_row(f"{high:g} s", str(sum(low <= each < high for each in late.values())))
    table.add_row("more", str(sum(each >= LATE_S[-1] for each in late.values())))
    console.print(table)
    console.print(", ".join(f"{count} times {kind}" for kind, count in injected.items()))
    console.print(f"{len(late)} ticks, {len(missing)} without a task, {items - len(late)} items too many")
    console.print(f"median lateness {statistics.median(late.values()) * 1000:.1f} ms")
    passed = not missing and items == len(late)
    console.print("[green]every tick has exactly one task[/]" if passed else f"[red]missing: {missing[:20]}[/]")
    return 0 if passed else 1


if __name__ == "__main__":
    log_folder = Path(tempfile.mkdtemp(prefix="ajobs-soak-"))
    given = float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES
    console.print(f"{given:g} minutes; the schedulers log to {log_folder}/schedulers.log")
    sys.exit(asyncio.run(soak(given, log_folder)))
