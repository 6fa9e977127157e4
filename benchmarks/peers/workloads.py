"""The workloads that every system runs, and their figures."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable
from typing import Any, NamedTuple

from benchmarks.peers.catalogue import System
from benchmarks.peers.running import CannotMeasureError, Snapshot, produce, server_of, working
from benchmarks.sizes import Sizes

KIB = 1024
SLOTS = (32, 128)
NAP_S = 0.1
NAP_SLOTS = 1_000
WARM = 20
"""Tasks that are handled before latencies are measured."""

Measured = dict[str, float]


class Figure(NamedTuple):
    """A figure of the report: its key, title and unit, and whether a higher value is better."""

    key: str
    title: str
    unit: str
    more_is_better: bool = True
    digits: int = 0


THROUGHPUT = (
    Figure("enqueue", "enqueue, one by one", "tasks/s"),
    Figure("bulk", "enqueue, in bulk", "tasks/s"),
    *(Figure(f"process {slots}", f"process, {slots} slots", "tasks/s") for slots in SLOTS),
    Figure("two workers", "process, 2 workers of 128", "tasks/s"),
    Figure("naps", f"sleep {NAP_S * 1000:.0f} ms, {NAP_SLOTS:,} slots", "tasks/s"),
)
PAYLOADS = (
    Figure("enqueue 1 KiB", "enqueue 1 KiB", "tasks/s"),
    Figure("process 1 KiB", "process 1 KiB", "tasks/s"),
    Figure("enqueue 64 KiB", "enqueue 64 KiB", "tasks/s"),
    Figure("process 64 KiB", "process 64 KiB", "tasks/s"),
)
LATENCIES = tuple(
    Figure(f"{load} {what} p{cut}", f"{title}, p{cut}", "ms", more_is_better=False, digits=2)
    for load in ("idle", "half")
    for what, title in (("start", "to the start"), ("seen", "to the result"))
    for cut in (50, 95, 99)
)
COSTS = (
    Figure("cpu worker", "CPU of the worker", "s per 10,000 tasks", more_is_better=False, digits=2),
    Figure("cpu producer", "CPU of the producer", "s per 10,000 tasks", more_is_better=False, digits=2),
    Figure("memory worker", "memory of the worker", "peak MiB", more_is_better=False),
)
ALL = THROUGHPUT + PAYLOADS + LATENCIES + COSTS


class Run:
    """One round with one system, and its figures."""

    def __init__(self, system: System, sizes: Sizes) -> None:
        """Measure ``system``."""
        self.system = system
        self.sizes = sizes
        self.figures: Measured = {}

    async def steps(self) -> AsyncGenerator[tuple[str, CannotMeasureError | None]]:
        """Run all workloads in order, and yield the name of each with its error, if any."""
        steps: dict[str, Callable[[], Any]] = {
            "throughput, 32 slots": lambda: self._throughput(32),
            "throughput, 128 slots": lambda: self._throughput(128),
            "in bulk": self._bulk,
            "two workers": self._two_workers,
            "1 KiB": lambda: self._payload(KIB, 3 * self.sizes.large_tasks),
            "64 KiB": lambda: self._payload(64 * KIB, self.sizes.large_tasks),
            "sleepers": self._naps,
            "latency, idle": lambda: self._latency("idle", 0),
            "latency, half load": self._half_load,
        }
        for name, step in steps.items():
            try:
                await step()
            except (CannotMeasureError, TimeoutError, OSError) as e:
                yield name, e if isinstance(e, CannotMeasureError) else CannotMeasureError(repr(e))
            else:
                yield name, None

    async def _produce(self, url: str, what: str, **settings: Any) -> dict[str, Any]:
        return await produce(self.system, url, what, self.sizes.patience_s, **settings)

    async def _throughput(self, slots: int) -> None:
        count = self.sizes.tasks
        async with server_of(self.system) as url:
            produced = await self._produce(url, "one", COUNT=count)
            # The first of the two runs may include compiling the system's modules, so the faster one counts.
            self.figures["enqueue"] = max(self.figures.get("enqueue", 0), count / produced["seconds"])
            self.figures["cpu producer"] = produced["cpu_s"] / count * 10_000
            snapshots = await self._work(url, count, slots=slots)
        self.figures[f"process {slots}"] = rate(snapshots)
        if slots == SLOTS[0]:
            self.figures["cpu worker"] = sum(s.cpu_s for s in snapshots) / done(snapshots) * 10_000
            self.figures["memory worker"] = sum(s.peak_mib for s in snapshots)

    async def _bulk(self) -> None:
        if not self.system.has_bulk:
            return
        async with server_of(self.system) as url:
            produced = await self._produce(url, "bulk", COUNT=self.sizes.tasks)
        self.figures["bulk"] = self.sizes.tasks / produced["seconds"]

    async def _two_workers(self) -> None:
        async with server_of(self.system) as url:
            await self._produce(url, "one", COUNT=self.sizes.tasks)
            self.figures["two workers"] = rate(await self._work(url, self.sizes.tasks, slots=128, processes=2))

    async def _payload(self, size: int, count: int) -> None:
        async with server_of(self.system) as url:
            produced = await self._produce(url, "one", COUNT=count, SIZE=size)
            self.figures[f"enqueue {size // KIB} KiB"] = count / produced["seconds"]
            self.figures[f"process {size // KIB} KiB"] = rate(await self._work(url, count, slots=128))

    async def _naps(self) -> None:
        if self.system.has_threads:
            return
        count = self.sizes.naps
        async with server_of(self.system) as url:
            await self._produce(url, "one", COUNT=count)
            snapshots = await self._work(url, count, slots=NAP_SLOTS, SLEEP_S=NAP_S)
        # A task is counted at the end of its sleep.
        self.figures["naps"] = rate(snapshots, before_first_s=NAP_S)

    async def _half_load(self) -> None:
        if "process 32" not in self.figures:
            raise CannotMeasureError("half load is unknown, because the throughput was not measured")
        await self._latency("half", min(self.figures["process 32"], self.figures["enqueue"]) / 2)

    async def _latency(self, load: str, tasks_per_s: float) -> None:
        patience_s = self.sizes.patience_s
        serving = server_of(self.system)
        async with serving as url, working(self.system, url, slots=32, ONE_BY_ONE="yes") as workers:
            await self._produce(url, "one", COUNT=WARM)
            await workers.reach(WARM, patience_s)
            produced = await self._produce(url, "latency", LATENCY_S=self.sizes.latency_s, RATE=tasks_per_s)
            await workers.reach(WARM + produced["sent"], patience_s, longest_s=patience_s)
            started = await workers.latencies(patience_s)
        self._note(f"{load} start", started)
        self._note(f"{load} seen", produced["seen"])

    def _note(self, name: str, seconds: list[float]) -> None:
        ordered = sorted(seconds)
        for cut in (50, 95, 99):
            if ordered:
                self.figures[f"{name} p{cut}"] = ordered[math.ceil(len(ordered) * cut / 100) - 1] * 1000

    async def _work(self, url: str, count: int, *, slots: int, processes: int = 1, **settings: Any) -> list[Snapshot]:
        async with working(self.system, url, slots=slots, processes=processes, **settings) as workers:
            return await workers.reach(count, self.sizes.patience_s, self.sizes.longest_s)


def done(snapshots: list[Snapshot]) -> int:
    """Return the number of handled tasks."""
    return sum(each.count for each in snapshots)


def rate(snapshots: list[Snapshot], before_first_s: float = 0) -> float:
    """Return tasks per second from the first handled task to the last."""
    began = min(each.first for each in snapshots) - before_first_s
    seconds = max(each.last for each in snapshots) - began
    return done(snapshots) / max(seconds, 1e-6)
