"""What many schedules cost: ``python -m benchmarks.schedules [COUNT]``.

COUNT schedules (10,000) are stored. A scheduler loads them; then 100 of them are due at one tick, and all others at a
later one. Shown are the time to load them, the memory that they take, and how late the tasks of both ticks were stored.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from asyncjobs.admin.dev.nats_server import NatsServer
from asyncjobs.client import Client, Queue
from asyncjobs.protocol.codec import encode
from asyncjobs.protocol.durations import HOUR_NS, SECOND_NS
from asyncjobs.protocol.schedule import Schedule
from asyncjobs.protocol.subjects import schedule_key
from asyncjobs.protocol.timestamps import format_timestamp
from asyncjobs.scheduler.service import Scheduler

COUNT = 10_000
FEW = 100
PAGE = 500
LEAD_S = 30
"""Seconds from the storing to the first tick: an election takes a while."""
GAP_S = 10


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1024**2


async def store(client: Client, count: int, first_ns: int, second_ns: int) -> None:
    """Store schedules of every hour that were made an hour before their first tick."""
    for start in range(0, count, PAGE):
        puts = []
        for number in range(start, min(start + PAGE, count)):
            tick_ns = first_ns if number < FEW else second_ns
            schedule = Schedule(
                name=f"schedule-{number}",
                schedule="@every 1h",
                queue="BENCH",
                task_type="few" if number < FEW else "many",
                payload=b"{}",
                max_tries=3,
                created_at=format_timestamp(tick_ns - HOUR_NS),
            )
            puts.append(client.schedules.bucket.put(schedule_key(schedule.name), encode(schedule)))
        await asyncio.gather(*puts)


async def main(count: int, console: Console) -> None:
    async with NatsServer.run() as server, Client.connect(server.url, queue=Queue(name="BENCH")) as client:
        first_ns = time.time_ns() + LEAD_S * SECOND_NS
        second_ns = first_ns + GAP_S * SECOND_NS
        await store(client, count, first_ns, second_ns)
        async with Client.connect(server.url, queue=Queue(name="BENCH")) as own:
            scheduler = Scheduler(own, "bench", janitor=False)
            before, began = resident_mib(), time.perf_counter()
            async with scheduler.running():
                while len(scheduler.timetable.schedules) < count:  # noqa: ASYNC110 - nobody announces it
                    await asyncio.sleep(0.01)
                console.print(f"{count:,} schedules loaded in {time.perf_counter() - began:.2f} s")
                console.print(f"{(resident_mib() - before) * 1024 / count:.1f} KiB of memory each")
                while (await client.queue_info()).items < count:  # noqa: ASYNC110 - likewise
                    await asyncio.sleep(0.2)
        table = Table("due at one tick", "p50", "p95", "p99", "latest")
        late: dict[str, list[float]] = {"few": [], "many": []}
        async for task in client.tasks():
            tick_ns = first_ns if task.type == "few" else second_ns
            late[task.type].append((task.created_ns - tick_ns) / 1e6)
        for values in late.values():
            cuts = statistics.quantiles(values, n=100)
            table.add_row(
                f"{len(values):,}", *(f"{each:,.1f} ms" for each in (cuts[49], cuts[94], cuts[98], max(values)))
            )
        console.print(table)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else COUNT, Console()))
