"""Measure the cost of many schedules: ``python -m benchmarks.schedules [COUNT]``.

A scheduler loads COUNT stored schedules (10,000). Then 100 of them are due at one tick, and all others at a later one.
It prints the time to load the schedules, their memory, and how late the tasks of both ticks were stored.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time

from ajobs.client import Client, Queue
from ajobs.protocol.codec import encode
from ajobs.protocol.durations import HOUR_NS, SECOND_NS
from ajobs.protocol.schedule import Schedule
from ajobs.protocol.subjects import schedule_key
from ajobs.protocol.timestamps import format_timestamp, parse_timestamp
from ajobs.scheduler.scheduler import Scheduler
from ajobs.testing.nats_server import NatsServer
from benchmarks.machine import resident_mib

COUNT = 10_000
FEW = 100
PAGE = 500
LEAD_S = 30
"""Seconds from storing the schedules to the first tick, which leaves time for an election."""
GAP_S = 10
PATIENCE_S = 60


async def store(client: Client, count: int, few: int, first_ns: int, second_ns: int) -> None:
    """Store hourly schedules that were created an hour before their first tick."""
    for start in range(0, count, PAGE):
        puts = []
        for number in range(start, min(start + PAGE, count)):
            tick_ns = first_ns if number < few else second_ns
            schedule = Schedule(
                name=f"schedule-{number}",
                schedule="@every 1h",
                queue="BENCH",
                task_type="few" if number < few else "many",
                payload=b"{}",
                max_tries=3,
                created_at=format_timestamp(tick_ns - HOUR_NS),
            )
            puts.append(client.schedules.bucket.put(schedule_key(schedule.name), encode(schedule)))
        await asyncio.gather(*puts)


async def measure(count: int) -> dict[str, float]:
    """Return the seconds to load the schedules, KiB per schedule, and the delay of the tasks in milliseconds."""
    few = min(FEW, count // 2)
    async with NatsServer.run() as server, Client.connect(server.url, queue=Queue(name="BENCH")) as client:
        first_ns = time.time_ns() + LEAD_S * SECOND_NS
        await store(client, count, few, first_ns, first_ns + GAP_S * SECOND_NS)
        async with Client.connect(server.url, queue=Queue(name="BENCH")) as own:
            scheduler = Scheduler(own, "bench", janitor=False)
            before, began = resident_mib(), time.perf_counter()
            async with asyncio.timeout(LEAD_S + GAP_S + PATIENCE_S), scheduler.running():
                while len(scheduler.schedules.timetable.schedules) < count:
                    await asyncio.sleep(0.01)
                figures = {
                    "schedules": float(count),
                    "load": time.perf_counter() - began,
                    "memory": (resident_mib() - before) * 1024 / count,
                }
                while (await client.queue_info()).items < count:
                    await asyncio.sleep(0.2)
        late: dict[str, list[float]] = {"few": [], "many": []}
        async for task in client.tasks():
            tick_ns = first_ns + (GAP_S * SECOND_NS if task.type == "many" else 0)
            late[task.type].append((parse_timestamp(task.created) - tick_ns) / 1e6)
        for name, values in late.items():
            cuts = statistics.quantiles(values, n=100)
            figures |= {f"{name} p50": cuts[49], f"{name} p99": cuts[98], f"{name} latest": max(values)}
        return figures


if __name__ == "__main__":
    for name, value in asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else COUNT)).items():
        print(f"{name:12} {value:12,.2f}")
