"""Slots: each takes an item, processes it to the end, and takes the next.

A slot is one asyncio task for the life of the worker. Handlers run in tasks of their own, so a slot runs only code of
the worker. If a slot ends nevertheless, another takes its place. The worker requests items as slots become free. When
handlers are short it requests a few more in advance, so that a slot finds its next item in the worker.

A stop takes five steps:

1. Request no more items.
2. Return the items that have no slot yet.
3. Let handlers finish within the grace period.
4. Cancel the rest, which hands their tasks back.
5. Hand back the tasks of handlers that ignore their cancellation, while these still run.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from ajobs.protocol.errors import UnavailableError
from ajobs.worker.queues.feed import Feed
from ajobs.worker.running.run import UNWIND_S

PAUSE_S = 0.1
"""Seconds before another slot takes the place of one that ended."""


class Slots:
    """The slots of a worker."""

    def __init__(self, feed: Feed, *, slots: int, logger: logging.Logger) -> None:
        """Process the items of ``feed`` in ``slots`` slots."""
        self._feed = feed
        self._slots = slots
        self._logger = logger
        self._busy: set[asyncio.Task[None]] = set()
        self._draining = False

    @property
    def busy(self) -> int:
        """Number of slots that have an item."""
        return len(self._busy)

    async def run(self, stop: asyncio.Event, grace_s: float) -> None:
        """Process items until ``stop`` is set; then give running ones up to ``grace_s`` seconds to finish."""
        slots = {asyncio.create_task(self._slot(), name=f"slot {n}") for n in range(self._slots)}
        supervisor = asyncio.create_task(self._supervise(slots), name="supervise slots")
        try:
            await stop.wait()
        finally:
            self._draining = True
            self._feed.close()
            supervisor.cancel()
            await asyncio.gather(supervisor, return_exceptions=True)
            await self._drain(slots, grace_s)

    async def _supervise(self, slots: set[asyncio.Task[None]]) -> None:
        """Put another slot in place of one that ended, such as after a handler cancelled all tasks of the loop."""
        while True:
            ended, _ = await asyncio.wait(slots, return_when=asyncio.FIRST_COMPLETED)
            for slot in ended:
                why = "it was cancelled" if slot.cancelled() else repr(slot.exception())
                self._logger.error("%s ended (%s): another slot takes its place", slot.get_name(), why)
                slots.remove(slot)
                slots.add(asyncio.create_task(self._slot(), name=slot.get_name()))
            await asyncio.sleep(PAUSE_S)

    def interrupt(self) -> None:
        """Cancel all running handlers, without waiting for the end of the grace period."""
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
                # A slot survives any failure. The server redelivers the item when its lease ends.
                self._logger.exception(
                    "failed to process item %s: it is redelivered when its lease ends", taken.delivery.subject
                )
            finally:
                self._busy.discard(slot)
                self._feed.done(taken, loop.time() - began)

    async def _drain(self, slots: set[asyncio.Task[None]], grace_s: float) -> None:
        for source in self._feed.sources:
            source.execution.drain()
        await asyncio.gather(*(source.pull.stop() for source in self._feed.sources if source.pull is not None))
        idle = [slot for slot in slots if slot not in self._busy]
        for slot in idle:
            slot.cancel()
        await asyncio.gather(*idle, return_exceptions=True)
        for taken in self._feed.unclaimed():
            # While disconnected they cannot be returned. The server redelivers them when their lease ends.
            with suppress(UnavailableError):
                await taken.source.execution.give_back(taken.delivery)
        if self._busy:
            self._logger.info("stopping: waiting up to %.1f s for %d running tasks", grace_s, len(self._busy))
            await asyncio.wait(set(self._busy), timeout=grace_s)
        if self._busy:
            self._logger.warning(
                "grace period over: cancelling %d running tasks and handing them back", len(self._busy)
            )
            self.interrupt()
            await asyncio.wait(set(self._busy), timeout=UNWIND_S)
        for source in self._feed.sources:
            await source.execution.hand_back()
