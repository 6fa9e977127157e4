"""Checks of the server, the account and the clocks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from ajobs.admin.doctor.facts import Facts
from ajobs.admin.doctor.findings import Check, Verdict, always, problem, warning
from ajobs.admin.text.human import duration_text, size_text
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.timestamps import parse_timestamp

OLDEST = (2, 10)
PAUSES = (2, 11)
"""The first version whose consumers can be paused."""
NEAR, FULL = 0.75, 0.95
"""The parts of a limit that cause a warning and a problem."""
SKEW_NS, BAD_SKEW_NS = SECOND_NS, 10 * SECOND_NS
WORKER_SKEW_NS = 2 * SECOND_NS
"""Tolerated difference: storing the presence of a worker takes a moment."""

_USES = (
    ("memory", "max_memory", size_text),
    ("storage", "max_storage", size_text),
    ("streams", "max_streams", str),
    ("consumers", "max_consumers", str),
)


def _version(facts: Facts) -> Iterator[Verdict]:
    found = re.match(r"(\d+)\.(\d+)", facts.version)
    if found is None:
        yield warning(f"unknown version of nats-server {facts.version!r}", "use nats-server 2.11 or newer")
        return
    number = int(found[1]), int(found[2])
    if number < OLDEST:
        yield problem(f"nats-server {facts.version} is too old", "upgrade it to 2.11 or newer")
    elif number < PAUSES:
        yield warning(f"nats-server {facts.version} cannot pause queues", "upgrade it to 2.11 or newer to pause queues")


def _limits(facts: Facts) -> Iterator[Verdict]:
    tiers: dict[str, Any] = facts.account.get("tiers") or {"": facts.account}
    for tier, uses in tiers.items():
        where = f" of tier {tier}" if tier else ""
        limits = uses.get("limits", {})
        for name, limit_name, text in _USES:
            limit, used = limits.get(limit_name, -1), uses.get(name, 0)
            if limit <= 0 or used < NEAR * limit:
                continue
            said = f"{text(used)} of {text(limit)} {name}{where} used"
            if used >= FULL * limit:
                yield problem(said, f"raise the account's {limit_name}, or shorten the retention: tasks are refused")
            else:
                yield warning(said, f"raise the account's {limit_name}, or shorten the retention, before it is full")


def _clock(facts: Facts) -> Iterator[Verdict]:
    if facts.clock is None:
        yield warning("the server does not report its time", "use nats-server 2.10 or newer")
        return
    off_ns = abs(facts.clock.ahead_ns) - facts.clock.uncertain_ns
    if off_ns < SKEW_NS:
        return
    which = "behind" if facts.clock.ahead_ns > 0 else "ahead of"
    text = f"this host's clock is {duration_text(abs(facts.clock.ahead_ns))} {which} the server's"
    yield (problem if off_ns >= BAD_SKEW_NS else warning)(text, "run a time service (NTP) on both hosts")


def _worker_clocks(facts: Facts) -> Iterator[Verdict]:
    for worker in facts.workers:
        off_ns = parse_timestamp(worker.presence.updated) - worker.stored_ns
        if abs(off_ns) < WORKER_SKEW_NS:
            continue
        which = "ahead of" if off_ns > 0 else "behind"
        name, host = worker.presence.name, worker.presence.host
        text = f"the clock of worker {name} on {host} is {duration_text(abs(off_ns))} {which} the server's"
        yield (problem if abs(off_ns) >= BAD_SKEW_NS else warning)(
            text, f"run a time service (NTP) on {host}: deadlines and run times depend on it"
        )


def _clock_is_fine(facts: Facts) -> str:
    assert facts.clock is not None  # noqa: S101 - the check reports a missing clock
    off, uncertain = duration_text(abs(facts.clock.ahead_ns)), duration_text(facts.clock.uncertain_ns)
    return f"this host's clock and the server's differ by {off} (± {uncertain})"


def _usage(facts: Facts) -> str:
    def used(name: str, limit: str) -> str:
        most = facts.account.get("limits", {}).get(limit, -1)
        return f"{size_text(facts.account.get(name, 0))} {'(no limit)' if most <= 0 else f'of {size_text(most)}'}"

    return f"storage {used('storage', 'max_storage')}, memory {used('memory', 'max_memory')}"


def _which(facts: Facts) -> str:
    return f"nats-server {facts.version} at {facts.server}"


def _level(facts: Facts) -> str:
    return f"JetStream is enabled, API level {facts.account.get('api', {}).get('level', 0)}"


def _always_fine(_: Facts) -> Iterable[Verdict]:
    # Without JetStream there are no facts, and `unreachable` reports it.
    return ()


CHECKS = (
    Check("version", _version, _which),
    Check("jetstream", _always_fine, _level),
    Check("limits", _limits, _usage),
    Check("clock", _clock, _clock_is_fine),
    Check("worker clocks", _worker_clocks, always("the clocks of all workers match the server's")),
)
