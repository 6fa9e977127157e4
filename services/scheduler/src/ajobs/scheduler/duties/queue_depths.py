"""The duty to report how many items each queue has, as metrics to scale workers by.

Only the leader reports, so that each queue is counted once with any number of schedulers.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from prometheus_client import Gauge

from ajobs.client.observability.metrics import NAMESPACE
from ajobs.protocol.errors import AjobsError
from ajobs.scheduler.duties.duty import Leads

if TYPE_CHECKING:
    from ajobs.client.client import Client

INTERVAL_S = 5.0
"""Seconds between two readings."""

ITEMS = Gauge("queue_items", "Work items in a queue, delivered or not", ("queue",), namespace=NAMESPACE)
WAITING = Gauge("queue_waiting_items", "Work items not delivered yet", ("queue",), namespace=NAMESPACE)
IN_PROGRESS = Gauge(
    "queue_in_progress_items",
    "Work items delivered to workers, or waiting for a retry",
    ("queue",),
    namespace=NAMESPACE,
)
_GAUGES = (ITEMS, WAITING, IN_PROGRESS)


class QueueDepths:
    """Updates the metrics while leading, and removes their values while not."""

    name = "queue depths"

    def __init__(self, client: Client, logger: logging.Logger) -> None:
        """Report the queues of the client's server."""
        self._client = client
        self._logger = logger
        self._reported: set[str] = set()

    async def run(self, leads: Leads, interval_s: float = INTERVAL_S) -> None:
        """Read all queues every ``interval_s`` seconds while leading, until cancelled."""
        try:
            while True:
                try:
                    await self.read(leads)
                except AjobsError as e:
                    self._forget(self._reported)
                    self._logger.info("cannot read the queues, their metrics have no values: %s", e)
                await asyncio.sleep(interval_s)
        finally:
            self._forget(self._reported)

    async def read(self, leads: Leads = lambda: True) -> None:
        """Read all queues once. Remove the values of deleted queues, or of all queues while not leading.

        Raises:
            UnavailableError: The server did not answer.
        """
        infos = await self._client.queues() if leads() else []
        if not leads():  # leadership ended meanwhile, and the next leader reports
            infos = []
        for info in infos:
            name = info.queue.name
            ITEMS.labels(name).set(info.items)
            WAITING.labels(name).set(info.waiting)
            IN_PROGRESS.labels(name).set(info.in_progress)
        names = {info.queue.name for info in infos}
        self._forget(self._reported - names)
        self._reported = names

    def _forget(self, names: set[str]) -> None:
        for name in names:
            for gauge in _GAUGES:
                gauge.remove(name)
        self._reported = self._reported - names
