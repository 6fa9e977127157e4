"""How much is measured. Environment variables such as ``BENCH_ROUNDS=5`` override each number."""

from __future__ import annotations

import os

import msgspec


class Sizes(msgspec.Struct, frozen=True):
    """The sizes of one run."""

    rounds: int = 3
    """How many times everything is measured. The systems take turns in each round."""
    tasks: int = 10_000
    """Small tasks that are enqueued and processed."""
    large_tasks: int = 1_000
    """Tasks of 64 KiB. There are three times as many of 1 KiB."""
    naps: int = 5_000
    """Tasks that sleep."""
    latency_s: int = 2
    """Seconds for which tasks are enqueued to measure how long each takes to start."""
    longest_s: int = 5
    """Seconds after which the measurement of a worker ends, even if tasks are left."""
    patience_s: int = 60
    """Seconds without progress after which the measurement of a system fails."""
    most_minutes: int = 13
    """Minutes after which no further round starts."""
    stored: int = 1_000_000
    """Tasks in the store at the end of the growth measurement, which starts with a thousandth of them."""
    schedules: int = 10_000
    queues: int = 500
    sleepers: int = 10_000
    """Slots of the worker whose handlers all sleep."""


QUICK = Sizes(
    rounds=1,
    tasks=1_000,
    large_tasks=50,
    naps=1_000,
    latency_s=1,
    longest_s=2,
    stored=20_000,
    schedules=500,
    queues=20,
    sleepers=1_000,
)


def sizes(*, quick: bool) -> Sizes:
    """Return the default sizes, or small ones, with the overrides of the environment."""
    start = QUICK if quick else Sizes()
    given = {
        name: int(os.environ[variable])
        for name in Sizes.__struct_fields__
        if (variable := f"BENCH_{name.upper()}") in os.environ
    }
    return msgspec.structs.replace(start, **given)
