"""All that the checks judge by, gathered once."""

from __future__ import annotations

import msgspec

from ajobs.client.maintenance.janitor import Stuck
from ajobs.client.schedules.schedules import ScheduleInfo
from ajobs.client.storage.jetstream.api import Json
from ajobs.client.storage.queues import QueueInfo
from ajobs.protocol.presence import WorkerPresence
from ajobs.protocol.task import Task


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """How far the server's clock is ahead of this host's."""

    ahead_ns: int
    uncertain_ns: int
    """By how much that may be wrong: half of the round trip."""


class SeenWorker(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's announcement, and when the server stored it."""

    presence: WorkerPresence
    stored_ns: int


class Signing(msgspec.Struct, frozen=True, kw_only=True):
    """What the keys that were given say about unfinished tasks."""

    verifies: bool = False
    """Whether a key to verify with was given."""
    belong_together: bool = True
    """Whether what ``--sign`` signs is what ``--verify`` accepts."""
    looked_at: int = 0
    unsigned: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    """Files with a seed that others on this host may read."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """How everything stands."""

    now_ns: int
    """This host's time, in nanoseconds since 1970."""
    grace_ns: int
    server: str
    version: str
    cluster: str
    """The cluster's name, empty when the server is alone."""
    servers: int
    """How many servers the cluster is known to have."""
    account: Json
    streams: dict[str, Json | None]
    """The info of the streams and buckets besides queues, by name; ``None``: it is not there."""
    queues: tuple[QueueInfo, ...] = ()
    without_consumer: tuple[str, ...] = ()
    """Queues that lack their consumer."""
    workers: tuple[SeenWorker, ...] = ()
    leaders: dict[str, str] = {}
    schedules: tuple[ScheduleInfo, ...] = ()
    stuck: tuple[Stuck, ...] = ()
    active: tuple[Task, ...] = ()
    """Tasks that say that they are being run."""
    looked_at: int = 0
    """How many tasks were looked at; fewer than `stored` when there are very many."""
    stored: int = 0
    clock: Clock | None = None
    signing: Signing = Signing()
    own_version: str = ""
