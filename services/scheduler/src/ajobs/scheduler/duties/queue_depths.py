"""How full the queues are, as metrics: told by whoever leads, so that each queue is told once however many there are.

That is what to scale workers by.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from prometheus_client import Gauge

from ajobs.client.observability.metrics import NAMESPACE
from ajobs.protocol.errors import AjobsError

if TYPE_CHECKING:
    from ajobs.client.client import Client

INTERVAL_S = 5.0

ITEMS = Gauge("queue_items", "Work items in a queue, whether a worker has them or not", ("queue",), namespace=NAMESPACE)
WAITING = Gauge("queue_waiting_items", "Work items that no worker has yet", ("queue",), namespace=NAMESPACE)
IN_PROGRESS = Gauge(
    "queue_in_progress_items", "Work items that workers have, or that wait for a retry", ("queue",), namespace=NAMESPACE
)
_GAUGES = (ITEMS, WAITING, IN_PROGRESS)


class Depths:
    """Keeps the metrics up to date while it may, and without a value while it may not."""

    def __init__(self, client: Client, logger: logging.Logger) -> None:
        """Ask over ``client``. See `run`."""
        self._client = client
        self._logger = logger
        self._told: set[str] = set()

    async def run(self, allowed: Callable[[], bool], interval_s: float = INTERVAL_S) -> None:
        """Look at all queues every ``interval_s`` seconds while it is ``allowed``, until cancelled."""
        try:
            while True:
                try:
                    await self.look(allowed=allowed)
                except AjobsError as e:
                    self._forget(self._told)
                    self._logger.info("how full the queues are is not known: %s", e)
                await asyncio.sleep(interval_s)
        finally:
            self._forget(self._told)

    async def look(self, allowed: Callable[[], bool] = lambda: True) -> None:
        """Look once. A queue that is gone, and all of them when it is not allowed, have no value from then on.

        Raises:
            UnavailableError: The server could not be asked.
        """
        infos = await self._client.queues() if allowed() else []
        if not allowed():
            infos = []
        for info in infos:
            name = info.queue.name
            ITEMS.labels(name).set(info.items)
            WAITING.labels(name).set(info.waiting)
            IN_PROGRESS.labels(name).set(info.in_progress)
        names = {info.queue.name for info in infos}
        self._forget(self._told - names)
        self._told = names

    def _forget(self, names: set[str]) -> None:
        for name in names:
            for gauge in _GAUGES:
                gauge.remove(name)
        self._told = self._told - names
