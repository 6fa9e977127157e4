"""Run all measurements and write the report: ``make bench``, or ``python -m benchmarks [--quick] [PART ...]``.

The parts are ``floor`` (compared with a bare loop), ``peers`` (compared with other job queues) and ``growth``. A full
run writes its report to ``benchmarks/results``; a partial or quick run writes to ``.bench/results``. Variables set how
much is measured, see `Sizes`: ``BENCH_ROUNDS=1 BENCH_TASKS=2000 python -m benchmarks peers``.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import uvloop
from rich.console import Console

from ajobs.testing.nats_server import NatsServer
from benchmarks import floor, growth, report, schedules
from benchmarks.machine import load, machine
from benchmarks.peers.catalogue import SYSTEMS, System
from benchmarks.peers.running import INSTALL_REDIS, CannotMeasureError, binaries, has_redis
from benchmarks.peers.workloads import Run
from benchmarks.results import FLOOR, OURS_IN_PROCESS, Results, targets
from benchmarks.sizes import Sizes, sizes

PARTS = ("floor", "peers", "growth")
COMMITTED = Path(__file__).parent / "results"
PARTIAL = Path(".bench/results")
console = Console()


class Bench:
    """One run of the benchmark and its results so far."""

    def __init__(self, measured: Sizes, systems: list[System], folder: Path) -> None:
        """Measure the systems, and write the report into ``folder``."""
        self.sizes = measured
        self.folder = folder
        self.systems = systems
        self.began = time.monotonic()
        self.results = Results(
            machine=machine(),
            sizes=msgspec.to_builtins(measured),
            started=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            load_before=load(),
        )

    @property
    def minutes(self) -> float:
        """Minutes since the start."""
        return (time.monotonic() - self.began) / 60

    def say(self, text: str) -> None:
        """Print a line of progress."""
        console.print(f"[dim]{self.minutes:5.1f} min[/]  {text}", highlight=False)

    def write(self) -> None:
        """Write the results so far, so that they are kept even if the run is interrupted."""
        self.results.minutes = self.minutes
        report.write(self.results, self.folder)

    def failed(self, what: str, error: object) -> None:
        """Record a measurement that failed."""
        self.results.failures.append(f"{what}: {error}")
        console.print(f"{what}: {error}", style="red", markup=False)

    def install(self) -> None:
        """Install the peers, and leave out those whose installation fails."""
        if not has_redis():
            self.failed("systems on Redis", INSTALL_REDIS)
            self.systems = [each for each in self.systems if each.server != "redis"]
        for system in list(self.systems):
            self.say(f"installing {system.name}")
            try:
                binaries(system)
            except CannotMeasureError as e:
                self.failed(system.name, e)
                self.systems.remove(system)

    async def rounds(self, parts: set[str]) -> None:
        """Measure the bare loop and the systems in turn."""
        for number in range(self.sizes.rounds):
            if number and self.minutes > self.sizes.most_minutes:
                self.failed(f"rounds after the first {number}", f"skipped after {self.minutes:.0f} minutes")
                break
            measured: dict[str, dict[str, float]] = {}
            self.results.rounds.append(measured)
            title = f"round {number + 1} of {self.sizes.rounds}"
            if "floor" in parts:
                self.say(f"{title}: a bare loop")
                await self._floor(measured)
            for system in self.systems if "peers" in parts else ():
                self.say(f"{title}: {system.name}")
                run = Run(system, self.sizes)
                measured[system.name] = run.figures
                async for step, error in run.steps():
                    if error is not None:
                        self.failed(f"{system.name}, {step}", error)
                self.write()

    async def _floor(self, measured: dict[str, dict[str, float]]) -> None:
        try:
            measured[FLOOR], measured[OURS_IN_PROCESS] = await floor.one_round()
            async with NatsServer.run() as server:
                measured[FLOOR] |= await floor.round_trips(server.url)
        except Exception as e:
            self.failed("the bare loop", repr(e))

    async def growth(self) -> None:
        """Measure the effect of many stored tasks, queues, sleeping handlers and schedules."""
        bound_s = 5 * self.sizes.patience_s
        self.say(f"growth: up to {self.sizes.stored:,} stored tasks")
        try:
            async for figures in growth.stored(self.sizes.stored, bound_s):
                self.results.growth.append(figures)
                self.write()
                self.say(f"growth: {figures['stored']:,.0f} tasks stored")
        except Exception as e:
            self.failed("growth", repr(e))
        self.say(f"growth: {self.sizes.queues:,} queues")
        try:
            async with asyncio.timeout(bound_s):
                self.results.queues = await growth.queues(self.sizes.queues, self.sizes.tasks)
        except Exception as e:
            self.failed("many queues", repr(e))
        self.write()
        self.say(f"growth: {self.sizes.sleepers:,} sleepers")
        try:
            async with asyncio.timeout(bound_s):
                self.results.sleepers = await growth.sleepers(self.sizes.sleepers)
        except Exception as e:
            self.failed("many sleepers", repr(e))
        self.write()
        self.say(f"growth: {self.sizes.schedules:,} schedules")
        try:
            async with asyncio.timeout(bound_s):
                self.results.schedules = await schedules.measure(self.sizes.schedules)
        except Exception as e:
            self.failed("many schedules", repr(e))


def show(results: Results) -> None:
    """Print the targets and the measured values."""
    for target in targets(results):
        if target.measured is not None:
            sign = "[green]met   [/]" if target.met else "[red]missed[/]"
            wanted = f"{'at least' if target.at_least else 'at most'} {target.wanted:g}"
            console.print(f"{sign} {target.measured.median:6.2f} ({wanted}): {target.text}", highlight=False)


async def main(parts: set[str], systems: list[System], folder: Path, measured: Sizes) -> None:
    """Measure the given parts and write the report."""
    bench = Bench(measured, systems, folder)
    if "peers" in parts:
        bench.install()
    try:
        if parts & {"floor", "peers"}:
            await bench.rounds(parts)
        if "growth" in parts:
            await bench.growth()
    finally:
        bench.write()
        bench.say(f"written to {folder}")
    show(bench.results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, and write a report.")
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help="parts to measure; default: all")
    parser.add_argument("--quick", action="store_true", help="measure small numbers in one round")
    parser.add_argument(
        "--only", action="append", default=[], help="measure this peer, given by the name of its script; repeatable"
    )
    given = parser.parse_args()
    chosen = set(given.part) or set(PARTS)
    whole = chosen == set(PARTS) and not given.quick and not given.only
    wanted = [each for each in SYSTEMS if not given.only or each.script in given.only]
    uvloop.run(main(chosen, wanted, COMMITTED if whole else PARTIAL, sizes(quick=given.quick)))
