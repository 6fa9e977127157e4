"""The results of all rounds, and the targets for them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from benchmarks.peers.catalogue import CLOSEST, OURS, SYSTEMS

Figures = dict[str, float]


class Spread(NamedTuple):
    """The median, the lowest and the highest of several numbers."""

    median: float
    low: float
    high: float


class Results(msgspec.Struct):
    """All results of a run, as stored in ``report.json``."""

    machine: dict[str, str]
    sizes: dict[str, int]
    started: str
    load_before: str
    minutes: float = 0
    rounds: list[dict[str, Figures]] = msgspec.field(default_factory=list[dict[str, Figures]])
    """Figures by system. The keys include ``bare loop`` and ``ajobs, in process``."""
    growth: list[Figures] = msgspec.field(default_factory=list[Figures])
    queues: Figures = msgspec.field(default_factory=dict[str, float])
    sleepers: Figures = msgspec.field(default_factory=dict[str, float])
    schedules: Figures = msgspec.field(default_factory=dict[str, float])
    failures: list[str] = msgspec.field(default_factory=list[str])

    def values(self, system: str, key: str) -> Spread | None:
        """Return a system's figure over all rounds that have it."""
        return spread([each[system][key] for each in self.rounds if key in each.get(system, {})])

    def ratio(self, over: tuple[str, str], under: tuple[str, str]) -> Spread | None:
        """Return the ratio of two figures, each given as (system, key), computed round by round."""
        return spread(
            [
                each[over[0]][over[1]] / each[under[0]][under[1]]
                for each in self.rounds
                if over[1] in each.get(over[0], {}) and each.get(under[0], {}).get(under[1])
            ]
        )


FLOOR = "bare loop"
OURS_IN_PROCESS = "ajobs, in process"
"""Our figures of the comparison with the bare loop, where client and worker share a process."""


def spread(values: Sequence[float]) -> Spread | None:
    """Return the spread of some numbers, or ``None`` without any."""
    return Spread(statistics.median(values), min(values), max(values)) if values else None


class Target(NamedTuple):
    """A target for a ratio: at least, or at most, a number."""

    text: str
    wanted: float
    at_least: bool
    measured: Spread | None

    @property
    def met(self) -> bool | None:
        """Whether the median meets the target; ``None`` if it was not measured."""
        if self.measured is None:
            return None
        return self.measured.median >= self.wanted if self.at_least else self.measured.median <= self.wanted


def targets(results: Results) -> list[Target]:
    """Return the targets with the measured ratios."""
    against_peers: list[Target] = []
    with_results = [each.name for each in SYSTEMS if each.has_results and each.name != OURS]
    for slots in (32, 128):
        key = f"process {slots}"
        known = [(spread.median, name) for name in with_results if (spread := results.values(name, key))]
        fastest = max(known, default=(0, "none"))[1]
        against_peers.append(
            Target(
                f"processing with {slots} slots, compared with the fastest that keeps results ({fastest})", 4, True,
                results.ratio((OURS, key), (fastest, key)),
            )
        )  # fmt: skip
        against_peers.append(
            Target(
                f"processing with {slots} slots, compared with {CLOSEST} without results", 1.3, True,
                results.ratio((OURS, key), (CLOSEST, key)),
            )
        )  # fmt: skip
    key = "process, 128 slots"
    return [
        *against_peers,
        Target("processing with 128 slots, compared with the bare loop", 0.75, True,
               results.ratio((OURS_IN_PROCESS, key), (FLOOR, key))),
        Target(f"enqueuing one by one, compared with {CLOSEST}", 1, True,
               results.ratio((OURS, "enqueue"), (CLOSEST, "enqueue"))),
        Target(f"enqueuing in bulk, compared with {CLOSEST} one by one", 2, True,
               results.ratio((OURS, "bulk"), (CLOSEST, "enqueue"))),
        Target("median time to the start at idle, as a multiple of one publish's round trip", 6, False,
               results.ratio((OURS, "idle start p50"), (FLOOR, "round trip p50"))),
        Target("its p99, as a multiple of the median", 3, False,
               results.ratio((OURS, "idle start p99"), (OURS, "idle start p50"))),
        *(Target(f"cost of {what} in the largest store, relative to the smallest", 1.5, False,
                 growth(results.growth, what)) for what in ("enqueue", "process", "load", "first page")),
        Target("rate of listing all in the largest store, relative to the middle one", 0.7, True,
               growth(results.growth[1:], "list all")),
    ]  # fmt: skip


def growth(curve: Sequence[Mapping[str, float]], what: str) -> Spread | None:
    """Return the ratio of a cost at the end of a curve to that at its start."""
    return spread([curve[-1][what] / curve[0][what]]) if len(curve) > 1 else None


def plain(results: Results) -> Any:
    """Return the results as JSON-compatible values."""
    return msgspec.to_builtins(results) | {
        "targets": [each._asdict() | {"met": each.met} for each in targets(results)],
    }
