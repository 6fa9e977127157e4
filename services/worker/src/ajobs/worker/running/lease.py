"""A handler's right to work on an item: until when, and how it is kept up.

The server delivers an item to somebody else once the queue's max run time has passed since it last heard of it. While
the handler lives it is told so three times within that time, so that only a worker that died loses its item. The
handler itself has one max run time, its route's if that is shorter, from its start or from the last time that it asked
for more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from ajobs.protocol.durations import SECOND_NS, format_duration
from ajobs.protocol.errors import UnavailableError

LOOK_S = 0.05
"""Seconds after which a lease gets a timer at the latest, unless something is due so soon that it has one at once."""

BEATS = 3
"""How often within the max run time the server is told that the handler lives."""


class Young:
    """Leases that began a moment ago and have no timer yet: most blocks are over long before anything is due."""

    def __init__(self) -> None:
        """Begin without any."""
        self._leases: list[Lease] = []

    def add(self, lease: Lease) -> None:
        """Give a lease a timer within `LOOK_S` seconds, if it is still needed then."""
        if not self._leases:
            asyncio.get_running_loop().call_later(LOOK_S, self._look)
        self._leases.append(lease)

    def _look(self) -> None:
        leases, self._leases = self._leases, []
        for lease in leases:
            lease.grow_up()


class Lease:
    """Bounds a block by the max run time and keeps the item while the block runs."""

    def __init__(
        self, max_run_time_s: float, lease_s: float, beat: Callable[[], Awaitable[None]], young: Young
    ) -> None:
        """Take the bound and the time that the server leaves the item to us, in seconds, and what renews the latter.

        One of several whose ``young`` look after them at first.
        """
        self._max_run_time_s = max_run_time_s
        self._beat_s = lease_s / BEATS
        self._beat = beat
        self._young = young
        self._loop = asyncio.get_running_loop()
        # One timer serves both, the beats and the end: most blocks are over long before it is due.
        self._timeout = asyncio.timeout(None)
        self._end = 0.0
        self._next_beat = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._beating: asyncio.Task[None] | None = None
        self._over = False

    async def __aenter__(self) -> Self:
        """Start the time."""
        await self._timeout.__aenter__()
        self.extend()
        self._next_beat = self._loop.time() + self._beat_s
        if min(self._beat_s, self._max_run_time_s) < 2 * LOOK_S:
            self._wait()
        else:
            self._young.add(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Stop the time. A block that used it up ends in ``TimeoutError``."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._beating is not None:
            await self._beating
        return await self._timeout.__aexit__(kind, error, traceback)

    @property
    def is_over(self) -> bool:
        """Whether the block has ended, or is being ended because its time was used up."""
        return self._over or self._timeout.expired()

    @property
    def expired(self) -> bool:
        """Whether the block was ended because its time was used up."""
        return self._timeout.expired()

    @property
    def remaining_s(self) -> float:
        """Seconds until the block is ended."""
        return self._end - self._loop.time()

    @property
    def max_run_time(self) -> str:
        """The bound as people read it."""
        return format_duration(int(self._max_run_time_s * SECOND_NS))

    def extend(self) -> None:
        """Give the block one more max run time from now on."""
        self._end = self._loop.time() + self._max_run_time_s

    def grow_up(self) -> None:
        """Get a timer if the block still runs."""
        if not self._over:
            self._wait()

    def _wait(self) -> None:
        self._timer = self._loop.call_at(min(self._next_beat, self._end), self._tick)

    def _tick(self) -> None:
        if self._loop.time() >= self._end:
            self._timeout.reschedule(self._end)
            return
        self._beating = self._loop.create_task(self._safely_beat())
        self._next_beat = self._loop.time() + self._beat_s
        self._wait()

    async def _safely_beat(self) -> None:
        # Without a connection there is nobody to tell; should the item be lost, so is the compare-and-set that ends it.
        with suppress(UnavailableError):
            await self._beat()
