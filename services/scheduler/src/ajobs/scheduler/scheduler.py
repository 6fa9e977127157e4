"""The scheduler: campaigns for leadership, and performs its duties while it leads.

A `Duty` is one thing that the leader does. All duties run all the time and act only while this scheduler leads, so that
a standby is ready at once. The schedules come first: the scheduler ends if they fail. Other duties are background jobs;
one that fails is logged and stays off, and the schedules continue.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ajobs.protocol.errors import ConnectionFailedError
from ajobs.protocol.subjects import SCHEDULER_ELECTION
from ajobs.scheduler.background import in_background
from ajobs.scheduler.duties.duty import Duty
from ajobs.scheduler.duties.janitor import Repair
from ajobs.scheduler.duties.queue_depths import QueueDepths
from ajobs.scheduler.duties.schedules import Schedules
from ajobs.scheduler.election import Election

if TYPE_CHECKING:
    from ajobs.client.client import Client


class Scheduler:
    """Creates tasks from schedules while it leads."""

    def __init__(
        self, client: Client, name: str, *, janitor: bool = True, logger: logging.Logger | None = None
    ) -> None:
        """Prepare a scheduler; `run` starts it.

        Args:
            client: A connected client, with a signing key if workers verify tasks. It creates tasks only for schedules
                that it trusts.
            name: The name to campaign as, unique among the schedulers. Events and other schedulers show it.
            janitor: Whether to repair stuck tasks while leading.
            logger: The logger to use instead of ``ajobs.scheduler``.
        """
        self._client = client
        self._logger = logger or logging.getLogger("ajobs.scheduler")
        self.election = Election(client, SCHEDULER_ELECTION, name, self._logger)
        self.schedules = Schedules(client, self.election, self._logger)
        repair: Sequence[Duty] = (Repair(client),) if janitor else ()
        self._others: Sequence[Duty] = (*repair, QueueDepths(client, self._logger))
        self._stopping = False

    def stop(self) -> None:
        """Finish the tasks that are being created, give up leadership, and let `run` return.

        Ticks that are due and not begun are left to the next leader.
        """
        self._stopping = True
        self.schedules.stop()

    def problems(self) -> dict[str, str | None]:
        """Return the readiness checks, and a problem for each that fails. A standby is ready too."""
        connected = self._client.connection.is_connected
        return {
            "nats": None if connected else "not connected",
            "schedules": None if self.schedules.loaded else "not loaded yet",
            "draining": "is stopping" if self._stopping else None,
        }

    async def run(self) -> None:
        """Campaign, and perform the duties while leading, until `stop` is called.

        Raises:
            ConnectionFailedError: The connection to NATS was closed permanently.
        """
        jobs = {duty.name: duty.run(self._leads) for duty in self._others}
        jobs["connection watch"] = self._watch_connection()
        async with in_background(jobs, self._logger), self.election.campaigning():
            await self.schedules.run(self._leads)
        if self._client.connection.nats.is_closed:
            raise ConnectionFailedError("the connection to NATS was closed permanently: see the log")

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Scheduler]:
        """Run for as long as the block does."""
        running = asyncio.create_task(self.run(), name="scheduler")
        try:
            yield self
        finally:
            self.stop()
            await running

    def _leads(self) -> bool:
        return self.election.is_leading

    async def _watch_connection(self) -> None:
        await self._client.connection.wait_closed()
        self.stop()
