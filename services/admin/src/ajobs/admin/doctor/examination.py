"""Runs all checks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ajobs.admin.doctor import server, settings, signing, work
from ajobs.admin.doctor.findings import Finding, Level, run
from ajobs.admin.doctor.gathering import gather
from ajobs.protocol.errors import ConnectionFailedError, JetStreamNotEnabledError, UnavailableError

if TYPE_CHECKING:
    from ajobs.admin.doctor.facts import Facts
    from ajobs.client.client import Client

GROUPS = {
    "server": server.CHECKS,
    "settings": settings.CHECKS,
    "work": work.CHECKS,
    "schedules": work.SCHEDULE_CHECKS,
    "signing": signing.CHECKS,
}


async def examine(client: Client, *, grace_ns: int, seed_files: Iterable[str] = ()) -> list[Finding]:
    """Gather the facts and return the findings of all checks. Raises the errors of `gather`."""
    return judge(await gather(client, grace_ns=grace_ns, seed_files=seed_files))


def judge(facts: Facts) -> list[Finding]:
    """Return the findings of all checks."""
    return [finding for group, checks in GROUPS.items() for finding in run(group, checks, facts)]


def unreachable(error: UnavailableError) -> Finding:
    """Return the finding for a server that cannot be examined."""
    if isinstance(error, JetStreamNotEnabledError):
        check, remedy = "jetstream", "start nats-server with -js and enable JetStream for this account"
    elif isinstance(error, ConnectionFailedError):
        check, remedy = "reachable", "start nats-server, or select one with --server or --context"
    else:
        check, remedy = "answers", "check the log of nats-server and try again"
    return Finding(group="server", check=check, level=Level.PROBLEM, text=" ".join(str(error).split()), remedy=remedy)
