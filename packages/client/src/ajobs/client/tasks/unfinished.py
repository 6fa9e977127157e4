"""Second halves that continue in the background after a cancellation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from ajobs.protocol.errors import AjobsError

logger = logging.getLogger("ajobs.client")

CLOSE_S = 5.0
"""Seconds that closing a client waits for what is unfinished."""

T = TypeVar("T")


class Unfinished:
    """Work that has to reach its end although its caller does not wait for it any more."""

    def __init__(self) -> None:
        """Start with nothing to do."""
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Begin ``work`` in the background. `close` waits for it."""
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def shield(self, work: Coroutine[Any, Any, T], name: str) -> T:
        """Return the result of ``work``, which continues when the caller is cancelled."""
        return await asyncio.shield(self.start(work, name))

    async def close(self) -> None:
        """Wait for the end of everything, for a few seconds at most."""
        if not self._running:
            return
        _, late = await asyncio.wait(self._running, timeout=CLOSE_S)
        for task in late:
            logger.warning("not finished when the client was closed: %s", task.get_name())
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        # A caller that still waits gets the error too. Only the log knows of one that was cancelled.
        if error is not None:
            logger.log(
                logging.DEBUG if isinstance(error, AjobsError) else logging.WARNING,
                "not finished: %s: %s",
                task.get_name(),
                error,
            )
