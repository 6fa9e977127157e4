"""``python -m tests.fuzz MINUTES``: run every fuzz target in turn until the time is up; fail on the first finding."""

from __future__ import annotations

import logging
import sys
import time

from hypothesis import HealthCheck, given, settings

from tests.fuzz.targets import TARGETS, Target

ROUND = 2_000
"""Inputs for each target before the next one has its turn."""


def run(target: Target) -> None:
    """Run one round of a target. A finding is raised with the smallest input that shows it."""

    @settings(max_examples=ROUND, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(target.inputs)
    def check(value: object) -> None:
        target.check(value)

    check()


def main() -> None:
    """Run rounds for the minutes that the command line names."""
    logging.getLogger("ajobs").setLevel(logging.CRITICAL)
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 3
    until = time.monotonic() + minutes * 60
    rounds = 0
    while time.monotonic() < until:
        for name, target in TARGETS.items():
            began = time.monotonic()
            run(target)
            print(f"{name}: {ROUND:,} inputs in {time.monotonic() - began:.1f} s", flush=True)  # noqa: T201
        rounds += 1
    print(f"no finding: {rounds} rounds of {len(TARGETS)} targets with {ROUND:,} inputs each")  # noqa: T201


if __name__ == "__main__":
    main()
