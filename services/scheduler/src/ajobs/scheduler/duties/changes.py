"""Keep the timetable up to date with the stored schedules.

The server announces each change. A change that was missed, because the connection was down or a message was lost, is
found by reading all schedules again after each reconnect and every `RESCAN_S` seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from ajobs.client.schedules.schedules import ScheduleInfo
from ajobs.protocol.errors import UnavailableError
from ajobs.scheduler import metrics
from ajobs.scheduler.background import in_background
from ajobs.scheduler.timetable import Timetable

if TYPE_CHECKING:
    from ajobs.client.client import Client

READ_AT_ONCE = 128
"""Changed schedules to read before due ticks are handled again."""
RESCAN_S = 60.0
"""Seconds between two readings of all schedules."""
RETRY_S = 0.2
"""Seconds until the next attempt when the server does not answer."""


class Changes:
    """Reads changed schedules into a timetable."""

    def __init__(self, client: Client, timetable: Timetable, wake: Callable[[], None], logger: logging.Logger) -> None:
        """Prepare to read; see `watched` and `read`.

        Args:
            client: Reads the schedules.
            timetable: Receives them.
            wake: Called when there is something to `read`.
            logger: Logs broken and deleted schedules.
        """
        self._client = client
        self._timetable = timetable
        self._wake = wake
        self._logger = logger
        self._changed: set[str] = set()
        self._doubt = asyncio.Event()
        self.loaded = False
        """Whether all schedules were read once."""

    @asynccontextmanager
    async def watched(self) -> AsyncGenerator[None]:
        """Note changes for as long as the block runs."""
        # Changes during a disconnection are not announced afterwards.
        forget = self._client.connection.on_reconnect(self._doubt.set)
        try:
            async with (
                in_background({"look for changes": self._rescan()}, self._logger),
                self._client.schedules.changes(self.note),
            ):
                yield
        finally:
            forget()

    def note(self, name: str) -> None:
        """Note that a schedule was created, changed or deleted."""
        self._changed.add(name)
        self._wake()

    async def read(self, after_ns: int) -> None:
        """Read what changed, at most `READ_AT_ONCE` schedules. Ticks of a changed schedule are due after ``after_ns``.

        Raises:
            UnavailableError: The server did not answer. The changes stay noted.
        """
        if not self.loaded:
            await self._read_all(after_ns)
        names = sorted(self._changed)[:READ_AT_ONCE]
        self._changed.difference_update(names)
        try:
            infos = await asyncio.gather(*(self._client.schedules.read(name) for name in names))
        except UnavailableError:
            self._changed.update(names)
            raise
        for name, info in zip(names, infos, strict=True):
            if info is not None:
                self._put(info, after_ns)
            elif name in self._timetable.schedules:
                self._timetable.remove(name)
                self._logger.info("schedule deleted", extra={"schedule": name})
        if names:
            self._count()
        if self._changed:
            self._wake()  # due ticks come before the rest

    async def _read_all(self, after_ns: int) -> None:
        for info in await self._client.schedules.all():
            self._put(info, after_ns)
        self.loaded = True
        self._count()

    async def _rescan(self) -> None:
        pause_s = RESCAN_S
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._doubt.wait()
            self._doubt.clear()
            try:
                infos = {info.name: info for info in await self._client.schedules.all()}
            except UnavailableError as e:
                self._logger.warning("cannot read the schedules, retrying: %s", e)
                pause_s = RETRY_S
                continue
            pause_s = RESCAN_S
            known = self._timetable.schedules
            # `read` loads each of them again, because they may have changed since.
            differ = {name for name in known.keys() | infos.keys() if known.get(name) != infos.get(name)}
            if differ:
                self._changed |= differ
                self._wake()

    def _put(self, info: ScheduleInfo, after_ns: int) -> None:
        known = self._timetable.schedules.get(info.name)
        if info.problem is not None and (known is None or known.problem != info.problem):
            self._logger.error("schedule is broken: %s", info.problem, extra={"schedule": info.name})
        self._timetable.put(info, after_ns)

    def _count(self) -> None:
        infos = self._timetable.schedules.values()
        metrics.SCHEDULES.set(len(infos))
        metrics.BROKEN.set(sum(info.problem is not None for info in infos))
