"""Slots: each takes an item, sees it through, and takes the next.

A slot is one asyncio task for as long as the worker runs, so that an item costs none of its own. Items are asked for as
slots become free; when handlers are short, a few more are asked for ahead, so that a slot finds its next item here.

Stopping goes: ask for no more items; give back those that no slot has; let handlers finish within the grace period;
cancel the rest, which hands their tasks back; and should a handler not even end then, hand its task back over its head.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from asyncjobs.client.storage.items import Delivery, WorkItems
from asyncjobs.client.storage.pulls import PullSubscription

if TYPE_CHECKING:
    from asyncjobs.worker.execution import Execution

AHEAD_S = 0.02
"""Seconds of work to have here in advance. What waits here cannot be done by an idle worker elsewhere."""

MOST_AHEAD = 256
SMOOTHING = 0.05
"""Weight of the newest item in the mean time that an item takes."""

UNWIND_S = 5.0
"""Seconds that cancelled handlers have to come to an end."""


class Processor:
    """Runs items of one queue, as many at once as there are slots."""

    def __init__(self, execution: Execution, items: WorkItems, *, slots: int, logger: logging.Logger) -> None:
        """Give each item to ``execution``, and give those back through ``items`` that it never got."""
        self._execution = execution
        self._items = items
        self._slots = slots
        self._logger = logger
        self._busy: set[asyncio.Task[None]] = set()
        self._draining = False
        self._mean_s = 1.0

    @property
    def busy(self) -> int:
        """How many slots have an item right now."""
        return len(self._busy)

    def ahead(self) -> int:
        """Return how many items the slots will start within the next moment."""
        return min(int(AHEAD_S * self._slots / self._mean_s), MOST_AHEAD)

    async def run(self, messages: PullSubscription, stop: asyncio.Event, grace_s: float) -> None:
        """Process items until ``stop`` is set, and those that run then for up to ``grace_s`` seconds more."""
        slots = [asyncio.create_task(self._slot(messages), name=f"slot {n}") for n in range(self._slots)]
        try:
            await stop.wait()
            await messages.stop()
        finally:
            self._draining = True
            await self._drain(slots, messages, grace_s)

    def hurry(self) -> None:
        """Cancel what is running now, without waiting for the grace period to end."""
        for slot in self._busy:
            slot.cancel()

    async def _slot(self, messages: PullSubscription) -> None:
        slot = asyncio.current_task()
        assert slot is not None  # noqa: S101 - a coroutine always runs in a task
        loop = asyncio.get_running_loop()
        while not self._draining:
            delivery = await messages.next()
            began = loop.time()
            self._busy.add(slot)
            try:
                await self._execution.process(delivery)
            except Exception:
                # A slot outlives whatever happens to an item; the item comes back when its lease is over.
                self._logger.exception("item %s could not be processed", delivery.subject)
            finally:
                self._busy.discard(slot)
            self._mean_s += SMOOTHING * (loop.time() - began - self._mean_s)

    async def _drain(self, slots: list[asyncio.Task[None]], messages: PullSubscription, grace_s: float) -> None:
        idle = [slot for slot in slots if slot not in self._busy]
        for slot in idle:
            slot.cancel()
        await asyncio.gather(*idle, return_exceptions=True)
        await self._give_back(messages.unclaimed())
        if self._busy:
            self._logger.info("waiting up to %.1f s for %d running tasks", grace_s, len(self._busy))
            await asyncio.wait(set(self._busy), timeout=grace_s)
        if self._busy:
            self._logger.warning("handing back %d tasks that did not finish in time", len(self._busy))
            self.hurry()
            await asyncio.wait(set(self._busy), timeout=UNWIND_S)
        await self._execution.hand_back()

    async def _give_back(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            await self._items.nak(delivery)
