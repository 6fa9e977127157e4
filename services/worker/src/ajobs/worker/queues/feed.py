"""Work items of several queues, handed to whoever waits longest, by the queues' weights.

Each queue has a clock that a handed-out item moves on by one part in its weight, and the queue whose clock is furthest
behind comes next: of two busy queues with weights 3 and 1, the first gets three items of four. One that had nothing to
do for a while starts again beside the others, without a claim to what it did not need.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ajobs.client.storage.items import Delivery
    from ajobs.client.storage.jetstream.pull import PullSubscription
    from ajobs.worker.running.execution import Execution

AHEAD_S = 0.02
"""Seconds of work to have here in advance. What waits here cannot be done by an idle worker elsewhere."""
MOST_AHEAD = 256
SMOOTHING = 0.05
"""Weight of the newest item in the mean time that an item takes."""


class Source:
    """One queue: its items that are here, and how many of them may run at once."""

    def __init__(self, name: str, execution: Execution, *, limit: int, weight: int = 1) -> None:
        """Run at most ``limit`` items of the queue at once."""
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
        """Whether an item of it could be started."""
        return bool(self.buffer) and self.running < self.limit

    def ahead(self) -> int:
        """Return how many items will be started within the next moment."""
        return max(self.least_ahead, min(int(AHEAD_S * self.limit / self._mean_s), MOST_AHEAD))

    def took(self, seconds: float) -> None:
        """Learn how long one item took."""
        self._mean_s += SMOOTHING * (seconds - self._mean_s)


class Taken(NamedTuple):
    """An item and where it came from; to be given back to `Feed.done`."""

    source: Source
    delivery: Delivery


class Feed:
    """Hands out items. A source's ``pull`` delivers them, for as many as `wanted` says."""

    def __init__(self, sources: list[Source]) -> None:
        """Hand out items of these queues."""
        self.sources = sources
        self._waiting: deque[asyncio.Future[Taken]] = deque()
        self._clock = 0.0
        self._closed = False
        if len(sources) > 1:
            # Weights can only choose between items that are here.
            for source in sources:
                source.least_ahead = 1

    def wanted(self, source: Source) -> int:
        """Return how many more items of a queue may come."""
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
                # It was handed out in the same moment: somebody else, or `unclaimed`, shall have it.
                source, delivery = future.result()
                source.running -= 1
                source.buffer.appendleft(delivery)
            raise

    def deliver(self, source: Source, delivery: Delivery) -> None:
        """Take an item that arrived."""
        source.buffer.append(delivery)
        self._hand_out()

    def done(self, taken: Taken, seconds: float) -> None:
        """Note that an item that was handed out is dealt with, and how long that took."""
        taken.source.running -= 1
        taken.source.took(seconds)
        self._hand_out()

    def close(self) -> None:
        """Hand out nothing more: what arrives from now on is `unclaimed`."""
        self._closed = True

    def unclaimed(self) -> list[Taken]:
        """Take all items that arrived and were not handed out."""
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
