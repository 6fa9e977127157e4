"""A scheduler as a process: connected, monitored, and stopped by signals."""

from __future__ import annotations

import logging

import msgspec

from ajobs.client.client import Client
from ajobs.client.settings import Settings
from ajobs.runtime.health import monitored
from ajobs.runtime.program import stopped_by_signals
from ajobs.scheduler.scheduler import Scheduler

logger = logging.getLogger("ajobs.scheduler")


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to run a scheduler process."""

    name: str
    """The name to campaign as, unique among the schedulers."""
    server: str | None
    settings: Settings
    """The settings of its client, besides the server."""
    repair: bool
    """Whether to repair stuck tasks while leading."""
    monitor: int | None
    """The port for metrics and health, if any."""
    monitor_host: str


async def serve(options: ServeOptions) -> int:
    """Run a scheduler until a signal stops it; return the exit status. Raises as `Client.connect` and `Scheduler.run`.

    The client is closed after the scheduler has given up leadership.
    """
    async with Client.connect(options.server, logger=logger, **options.settings) as client:
        scheduler = Scheduler(client, options.name, janitor=options.repair, logger=logger)
        with (
            stopped_by_signals(scheduler.stop, logger),
            monitored(options.monitor, options.monitor_host, scheduler.problems, logger),
        ):
            logger.info("scheduler ready: campaigning as %s", options.name)
            await scheduler.run()
    logger.info("scheduler stopped")
    return 0
