"""The facts that all checks use, gathered once."""

from __future__ import annotations

import msgspec

from ajobs.client.maintenance.janitor import Stuck
from ajobs.client.schedules.schedules import ScheduleInfo
from ajobs.client.storage.jetstream.api import Json
from ajobs.client.storage.queues import QueueInfo
from ajobs.protocol.presence import WorkerPresence
from ajobs.protocol.task import Task


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """The difference between the clocks of the server and this host."""

    ahead_ns: int
    uncertain_ns: int
    """Maximum error: half of the round trip."""


class SeenWorker(msgspec.Struct, frozen=True, kw_only=True):
    """The presence of a worker, and when the server stored it."""

    presence: WorkerPresence
    stored_ns: int


class Signing(msgspec.Struct, frozen=True, kw_only=True):
    """The signatures of unfinished tasks, checked with the given keys."""

    verifies: bool = False
    """Whether there is a key to verify with."""
    belong_together: bool = True
    """Whether ``--verify`` accepts signatures of ``--sign``."""
    checked: int = 0
    unsigned: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    """Files with a seed that other users of this host can read."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the server, its streams, queues, workers and tasks."""

    now_ns: int
    """This host's time, in nanoseconds since 1970."""
    grace_ns: int
    server: str
    version: str
    cluster: str
    """The name of the cluster, empty for a single server."""
    servers: int
    """Number of known servers of the cluster."""
    account: Json
    streams: dict[str, Json | None]
    """The info of streams and buckets other than queues, by name; ``None`` if one is missing."""
    queues: tuple[QueueInfo, ...] = ()
    described: dict[str, tuple[Json, Json]] = {}
    """The info of the stream and of the consumer of each queue, by its name, as the server sends them."""
    without_consumer: tuple[str, ...] = ()
    """Queues without a consumer."""
    workers: tuple[SeenWorker, ...] = ()
    leaders: dict[str, str] = {}
    schedules: tuple[ScheduleInfo, ...] = ()
    stuck: tuple[Stuck, ...] = ()
    active: tuple[Task, ...] = ()
    """Tasks in state ``active``."""
    checked: int = 0
    """Number of checked tasks; fewer than `stored` if there are very many."""
    stored: int = 0
    clock: Clock | None = None
    signing: Signing = Signing()
    own_version: str = ""
