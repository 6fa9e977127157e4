"""How much is measured: every number can be set by a variable of the environment, ``BENCH_ROUNDS=5`` and so on."""

from __future__ import annotations

import os

import msgspec


class Sizes(msgspec.Struct, frozen=True):
    """The sizes of one run."""

    rounds: int = 3
    """How often everything is measured, in turn."""
    tasks: int = 10_000
    """Small tasks that are enqueued and processed."""
    large_tasks: int = 1_000
    """Tasks of 64 KiB; of 1 KiB there are three times as many."""
    naps: int = 5_000
    """Tasks that sleep."""
    latency_s: int = 2
    """Seconds for which tasks are enqueued to look how long each takes to start."""
    longest_s: int = 5
    """Seconds after which a worker has shown how fast it is, although not all tasks are done."""
    patience_s: int = 60
    """Seconds after which a system is given up that does not get anywhere."""
    most_minutes: int = 13
    """Minutes after which no further round is begun."""
    stored: int = 1_000_000
    """Tasks in the store at the end of the look at growth; it begins with a thousandth."""
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
    """Return the sizes that the environment asks for, or small ones."""
    start = QUICK if quick else Sizes()
    given = {
        name: int(os.environ[variable])
        for name in Sizes.__struct_fields__
        if (variable := f"BENCH_{name.upper()}") in os.environ
    }
    return msgspec.structs.replace(start, **given)
