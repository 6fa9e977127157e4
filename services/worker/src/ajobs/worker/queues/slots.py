"""Slots: each takes an item, sees it through, and takes the next.

A slot is one asyncio task for as long as the worker runs, so that an item costs none of its own. Items are asked for as
slots become free; when handlers are short, a few more are asked for ahead, so that a slot finds its next item here.

Stopping goes: ask for no more items; give back those that no slot has; let handlers finish within the grace period;
cancel the rest, which hands their tasks back; and should a handler not even end then, hand its task back over its head.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from ajobs.client.storage.items import WorkItems
from ajobs.protocol.errors import UnavailableError
from ajobs.worker.queues.feed import Feed

UNWIND_S = 5.0
"""Seconds that cancelled handlers have to come to an end."""


class Processor:
    """Runs the items of a feed, as many at once as there are slots."""

    def __init__(self, feed: Feed, items: WorkItems, *, slots: int, logger: logging.Logger) -> None:
        """Run what ``feed`` hands out, and give those items back through ``items`` that it never did."""
        self._feed = feed
        self._items = items
        self._slots = slots
        self._logger = logger
        self._busy: set[asyncio.Task[None]] = set()
        self._draining = False

    @property
    def busy(self) -> int:
        """How many slots have an item right now."""
        return len(self._busy)

    async def run(self, stop: asyncio.Event, grace_s: float) -> None:
        """Process items until ``stop`` is set, and those that run then for up to ``grace_s`` seconds more."""
        slots = [asyncio.create_task(self._slot(), name=f"slot {n}") for n in range(self._slots)]
        try:
            await stop.wait()
        finally:
            self._draining = True
            self._feed.close()
            await self._drain(slots, grace_s)

    def hurry(self) -> None:
        """Cancel what is running now, without waiting for the grace period to end."""
        for source in self._feed.sources:
            source.execution.interrupt()

    async def _slot(self) -> None:
        slot = asyncio.current_task()
        assert slot is not None  # noqa: S101 - a coroutine always runs in a task
        loop = asyncio.get_running_loop()
        while not self._draining:
            taken = await self._feed.next()
            began = loop.time()
            self._busy.add(slot)
            try:
                await taken.source.execution.process(taken.delivery)
            except Exception:
                # A slot outlives whatever happens to an item; the item comes back when its lease is over.
                self._logger.exception("item %s could not be processed", taken.delivery.subject)
            finally:
                self._busy.discard(slot)
                self._feed.done(taken, loop.time() - began)

    async def _drain(self, slots: list[asyncio.Task[None]], grace_s: float) -> None:
        await asyncio.gather(*(source.pull.stop() for source in self._feed.sources if source.pull is not None))
        idle = [slot for slot in slots if slot not in self._busy]
        for slot in idle:
            slot.cancel()
        await asyncio.gather(*idle, return_exceptions=True)
        for taken in self._feed.unclaimed():
            # Without a connection nobody can be told; they come back when the max run time is over.
            with suppress(UnavailableError):
                await self._items.nak(taken.delivery)
        if self._busy:
            self._logger.info("waiting up to %.1f s for %d running tasks", grace_s, len(self._busy))
            await asyncio.wait(set(self._busy), timeout=grace_s)
        if self._busy:
            self._logger.warning("handing back %d tasks that did not finish in time", len(self._busy))
            self.hurry()
            await asyncio.wait(set(self._busy), timeout=UNWIND_S)
        for source in self._feed.sources:
            await source.execution.hand_back()
