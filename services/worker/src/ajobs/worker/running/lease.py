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

from ajobs.protocol.durations import SECOND_NS, format_duration
from ajobs.protocol.errors import UnavailableError

DEFERRAL_S = 0.05
"""Age in seconds at which a run gets its timer. Runs with a shorter deadline get it at once."""

NEVER_S = 10.0**9
"""A time limit or a lease without an end, in seconds."""

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
    """Limits the run time of a handler and renews the lease on its item.

    The time limit ends with `end_run`, the renewals with `close`: an outcome that is not stored yet needs its item.
    """

    def __init__(
        self, max_run_time_s: float, lease_s: float, renew: Callable[[], Awaitable[None]], timers: DeferredTimers
    ) -> None:
        """Prepare a lease; `start` starts it.

        Args:
            max_run_time_s: Seconds after which the handler is cancelled, unless it is extended.
            lease_s: Seconds after which the server redelivers an item that is not renewed.
            renew: Renews the item's lease on the server.
            timers: Starts the timer if the handler outlives its first moments.
        """
        self._max_run_time_s = max_run_time_s
        self._lease_s = lease_s
        self._renewal_s = lease_s / RENEWALS
        self._renew = renew
        self._timers = timers
        self._loop = asyncio.get_running_loop()
        self._end = 0.0
        self._renewed = 0.0
        self._next_renewal = 0.0
        # A single timer serves both the renewals and the time limit. Most handlers end before it fires.
        self._timer: asyncio.TimerHandle | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._cancel: Callable[[], None] | None = None
        self._closed = False
        self.expired = False
        """Whether the handler was cancelled because its time was up."""

    def start(self, cancel: Callable[[], None], renewed: float | None = None) -> None:
        """Start the time limit, which calls ``cancel`` when it is reached, and the renewals.

        Args:
            cancel: Cancels the handler.
            renewed: When the item's lease began or was last renewed, by the loop's clock. Default: now.
        """
        self._cancel = cancel
        now = self._loop.time()
        self._renewed = now if renewed is None else renewed
        self._end = now + self._max_run_time_s
        self._next_renewal = self._renewed + self._renewal_s
        if min(self._renewal_s, self._max_run_time_s) < 2 * DEFERRAL_S:
            self._schedule()
        else:
            self._timers.add(self)

    def end_run(self) -> None:
        """End the time limit, because the handler has ended."""
        self._cancel = None

    async def close(self) -> None:
        """Stop the renewals, and wait for one that is on its way: it must not come after the acknowledgement."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._renewing is not None:
            await self._renewing

    @property
    def is_over(self) -> bool:
        """Whether the handler has ended or is being cancelled because its time was up."""
        return self.expired or self._cancel is None

    @property
    def is_lost(self) -> bool:
        """Whether the item was not renewed for so long that the server may have given it to another worker."""
        return self._loop.time() > self._renewed + self._lease_s

    @property
    def remaining_s(self) -> float:
        """Seconds until the handler is cancelled."""
        return self._end - self._loop.time()

    @property
    def max_run_time(self) -> str:
        """The time limit as Go duration text, such as ``1m30s``."""
        return format_duration(int(self._max_run_time_s * SECOND_NS))

    def extend(self) -> None:
        """Grant the handler one max run time, counted from now."""
        self._end = self._loop.time() + self._max_run_time_s

    def start_timer(self) -> None:
        """Start the timer if the lease is still open."""
        if not self._closed:
            self._schedule()

    def _schedule(self) -> None:
        due = self._next_renewal if self.is_over else min(self._next_renewal, self._end)
        self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        now = self._loop.time()
        if self._cancel is not None and not self.expired and now >= self._end:
            self.expired = True
            self._cancel()
        if now >= self._next_renewal:
            self._renewing = self._loop.create_task(self._safely_renew())
            self._next_renewal = now + self._renewal_s
        self._schedule()

    async def _safely_renew(self) -> None:
        # While disconnected there is no way to renew. If the server gives the item away, the save that concludes this
        # run loses its compare-and-set, so a stale outcome is never stored.
        with suppress(UnavailableError):
            await self._renew()
            self._renewed = self._loop.time()
