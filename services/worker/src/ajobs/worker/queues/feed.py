"""Hand out the work items of several queues to waiting slots, by the weights of the queues.

This is weighted fair queuing. Each queue has a clock, and an item moves it forward by 1 / weight. The queue whose clock
is furthest behind comes next: of two busy queues with weights 3 and 1, the first gets three items of four. A queue that
was idle continues at the time of the others, so it cannot claim the turns that it did not need.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import NamedTuple

from ajobs.client.storage.items import Delivery
from ajobs.client.storage.jetstream.pull import PullSubscription
from ajobs.worker.running.execution import Execution

AHEAD_S = 0.02
"""Seconds of work to hold in advance. An idle worker elsewhere cannot get the items that wait here."""

MOST_AHEAD = 256
"""Items to hold in advance at most."""

SMOOTHING = 0.05
"""Weight of the newest item in the mean duration of items."""


class Source:
    """One queue of a worker, with its limit and the items that wait here."""

    def __init__(self, name: str, execution: Execution, *, limit: int, weight: int = 1) -> None:
        """Process up to ``limit`` items of the queue at once."""
        self.name = name
        self.execution = execution
        self.limit = limit
        self.weight = weight
        self.running = 0
        self.buffer: deque[Delivery] = deque()
        self.pull: PullSubscription | None = None
        self.least_ahead = 0
        self.clock = 0.0
        self._mean_s = 1.0

    @property
    def is_ready(self) -> bool:
        """Whether an item waits and the limit allows to start it."""
        return bool(self.buffer) and self.running < self.limit

    def ahead(self) -> int:
        """Return how many items to hold in advance."""
        return max(self.least_ahead, min(int(AHEAD_S * self.limit / self._mean_s), MOST_AHEAD))

    def took(self, seconds: float) -> None:
        """Record how long an item took."""
        self._mean_s += SMOOTHING * (seconds - self._mean_s)


class Taken(NamedTuple):
    """An item and its source. Pass it to `Feed.done` once it is processed."""

    source: Source
    delivery: Delivery


class Feed:
    """Hands out items. The ``pull`` of each source delivers as many as `wanted` returns."""

    def __init__(self, sources: list[Source]) -> None:
        """Hand out items of these sources."""
        self.sources = sources
        self._waiting: deque[asyncio.Future[Taken]] = deque()
        self._clock = 0.0
        self._closed = False
        if len(sources) > 1:
            # Weights can only choose between items that wait here.
            for source in sources:
                source.least_ahead = 1

    def wanted(self, source: Source) -> int:
        """Return how many more items of a source to request."""
        free = min(len(self._waiting), source.limit - source.running)
        return free + source.ahead() - len(source.buffer)

    async def next(self) -> Taken:
        """Wait for the next item."""
        source = self._choose()
        if source is not None:
            taken = self._take(source, source.buffer.popleft())
            self._top_up()
            return taken
        future: asyncio.Future[Taken] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._top_up()
        try:
            return await future
        except asyncio.CancelledError:
            if future.cancelled():
                with suppress(ValueError):
                    self._waiting.remove(future)
            else:
                # An item was handed out at the same time. Put it back for another slot, or for `unclaimed`.
                source, delivery = future.result()
                source.running -= 1
                source.buffer.appendleft(delivery)
            raise

    def deliver(self, source: Source, delivery: Delivery) -> None:
        """Accept an item that arrived."""
        source.buffer.append(delivery)
        self._hand_out()

    def done(self, taken: Taken, seconds: float) -> None:
        """Record that an item is processed, and how long that took."""
        taken.source.running -= 1
        taken.source.took(seconds)
        self._hand_out()

    def close(self) -> None:
        """Hand out no more items. Those that arrive from now on are `unclaimed`."""
        self._closed = True

    def unclaimed(self) -> list[Taken]:
        """Take out all items that arrived and were not handed out."""
        found = [Taken(source, delivery) for source in self.sources for delivery in source.buffer]
        for source in self.sources:
            source.buffer.clear()
        return found

    def _choose(self) -> Source | None:
        if self._closed:
            return None
        if len(self.sources) == 1:
            return self.sources[0] if self.sources[0].is_ready else None
        ready = [source for source in self.sources if source.is_ready]
        return min(ready, key=lambda source: max(source.clock, self._clock), default=None)

    def _take(self, source: Source, delivery: Delivery) -> Taken:
        source.running += 1
        self._clock = max(self._clock, source.clock)
        source.clock = self._clock + 1 / source.weight
        return Taken(source, delivery)

    def _hand_out(self) -> None:
        while self._waiting:
            if self._waiting[0].done():
                self._waiting.popleft()
                continue
            source = self._choose()
            if source is None:
                return
            self._waiting.popleft().set_result(self._take(source, source.buffer.popleft()))

    def _top_up(self) -> None:
        for source in self.sources:
            if source.pull is not None:
                source.pull.top_up()
