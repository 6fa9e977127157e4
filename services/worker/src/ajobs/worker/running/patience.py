"""Repeat what the store refuses for a while, and keep the item of the task meanwhile.

A refusal is one of three kinds:

- It may pass (`UnavailableError`): no answer, no leader, no connection, a full disk. The worker repeats.
- An operator can end it (`UnavailableError` too): a missing permission or task store. The worker repeats as well, and
  logs the reason.
- It is final: every other error, and any error once the connection is closed for good. The worker gives up.

Deliveries that are not tries would use up the max deliver of a queue, so an item is kept rather than returned.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from ajobs.client.nats.connection import Connection
from ajobs.protocol.errors import UnavailableError

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0

T = TypeVar("T")


class Patience:
    """Repeats attempts until the worker stops, or their item may belong to another worker."""

    def __init__(self, connection: Connection, logger: logging.Logger) -> None:
        """Give up when ``connection`` is closed for good."""
        self._connection = connection
        self._logger = logger
        self.refused = 0
        """Number of attempts that are being repeated."""

    async def repeat(
        self,
        what: str,
        attempt: Callable[[], Awaitable[T]],
        error: UnavailableError,
        *,
        stop: asyncio.Event,
        is_lost: Callable[[], bool],
    ) -> T:
        """Repeat an attempt that was refused with ``error``, and return its result.

        Args:
            what: The attempt, for the log.
            attempt: Runs it again.
            error: Why it was refused.
            stop: Ends the repetition.
            is_lost: Tells whether the item may belong to another worker.

        Raises:
            UnavailableError: It was still refused when the repetition ended. Other exceptions pass through.
        """
        self._logger.warning("%s is refused, repeating while the item is ours: %s", what, error)
        pause_s = FIRST_PAUSE_S
        self.refused += 1
        try:
            while not (stop.is_set() or is_lost() or self._connection.nats.is_closed):
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await stop.wait()
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                try:
                    result = await attempt()
                except UnavailableError as e:
                    error = e
                else:
                    self._logger.info("%s was accepted", what)
                    return result
            raise error
        finally:
            self.refused -= 1
