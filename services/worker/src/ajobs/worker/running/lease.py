"""The lease of a running handler: how long it may work on an item, and how the item is kept from other workers.

Two clocks run side by side:

- **The item's lease.** The server redelivers an item that is not renewed within the queue's max run time. The worker
  renews it three times in that period while the handler runs, so only a dead or disconnected worker loses it.
- **The handler's time limit.** A handler may run for one max run time (the route's, if that is shorter), counted from
  its start or its last `Lease.extend`. Then it is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from ajobs.protocol.durations import SECOND_NS, format_duration
from ajobs.protocol.errors import UnavailableError

DEFERRAL_S = 0.05
"""Age in seconds at which a run gets its timer. Runs with a shorter deadline get it at once."""

RENEWALS = 3
"""Renewals of the item's lease per max run time."""


class DeferredTimers:
    """Starts the timers of leases late and in batches, because most runs end before they need one."""

    def __init__(self) -> None:
        """Start with no leases."""
        self._leases: list[Lease] = []

    def add(self, lease: Lease) -> None:
        """Start the lease's timer after `DEFERRAL_S` seconds or sooner, unless it has ended by then."""
        if not self._leases:
            asyncio.get_running_loop().call_later(DEFERRAL_S, self._start_timers)
        self._leases.append(lease)

    def _start_timers(self) -> None:
        leases, self._leases = self._leases, []
        for lease in leases:
            lease.start_timer()


class Lease:
    """Limits the run time of a block and renews the lease on its item. Use it with ``async with``."""

    def __init__(
        self, max_run_time_s: float, lease_s: float, renew: Callable[[], Awaitable[None]], timers: DeferredTimers
    ) -> None:
        """Prepare a lease; entering the block starts it.

        Args:
            max_run_time_s: Seconds after which the block is cancelled, unless it is extended.
            lease_s: Seconds after which the server redelivers an item that is not renewed.
            renew: Renews the item's lease on the server.
            timers: Starts the timer if the block outlives its first moments.
        """
        self._max_run_time_s = max_run_time_s
        self._renewal_s = lease_s / RENEWALS
        self._renew = renew
        self._timers = timers
        self._loop = asyncio.get_running_loop()
        # A single timer serves both the renewals and the time limit. Most blocks end before it fires.
        self._timeout = asyncio.timeout(None)
        self._end = 0.0
        self._next_renewal = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._over = False

    async def __aenter__(self) -> Self:
        """Start the time limit and the renewals."""
        await self._timeout.__aenter__()
        self.extend()
        self._next_renewal = self._loop.time() + self._renewal_s
        if min(self._renewal_s, self._max_run_time_s) < 2 * DEFERRAL_S:
            self._schedule()
        else:
            self._timers.add(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Stop both. Raise ``TimeoutError`` if the block was cancelled because its time was up."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._renewing is not None:
            await self._renewing
        return await self._timeout.__aexit__(kind, error, traceback)

    @property
    def is_over(self) -> bool:
        """Whether the block has ended or is being cancelled because its time was up."""
        return self._over or self._timeout.expired()

    @property
    def expired(self) -> bool:
        """Whether the block was cancelled because its time was up."""
        return self._timeout.expired()

    @property
    def remaining_s(self) -> float:
        """Seconds until the block is cancelled."""
        return self._end - self._loop.time()

    @property
    def max_run_time(self) -> str:
        """The time limit as Go duration text, such as ``1m30s``."""
        return format_duration(int(self._max_run_time_s * SECOND_NS))

    def extend(self) -> None:
        """Grant the block one max run time, counted from now."""
        self._end = self._loop.time() + self._max_run_time_s

    def start_timer(self) -> None:
        """Start the timer if the block is still running."""
        if not self._over:
            self._schedule()

    def _schedule(self) -> None:
        self._timer = self._loop.call_at(min(self._next_renewal, self._end), self._tick)

    def _tick(self) -> None:
        if self._loop.time() >= self._end:
            self._timeout.reschedule(self._end)
            return
        self._renewing = self._loop.create_task(self._safely_renew())
        self._next_renewal = self._loop.time() + self._renewal_s
        self._schedule()

    async def _safely_renew(self) -> None:
        # While disconnected there is no way to renew. If the server gives the item away, the save that concludes this
        # run loses its compare-and-set, so a stale outcome is never stored.
        with suppress(UnavailableError):
            await self._renew()
