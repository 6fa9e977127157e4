"""End a handler that takes too long."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from ajobs.protocol.errors import ConfigurationError
from ajobs.worker.context import Context
from ajobs.worker.middleware.chain import Handle, Middleware


class TimeLimitError(Exception):
    """A handler used up its time."""


def time_limit(limit: timedelta | float) -> Middleware:
    """Return middleware that cancels a handler after this time, in seconds unless it is a span; the task's try fails.

    The queue's max run time holds besides. A thread cannot be stopped: a plain handler's task fails in time, but its
    thread runs on, and its slot is taken until it ends.

    Raises:
        ConfigurationError: The time is not more than 0.
    """
    seconds = limit.total_seconds() if isinstance(limit, timedelta) else limit
    if seconds <= 0:
        raise ConfigurationError(f"the time limit is {limit}: use more than 0")

    def wrap(handle: Handle) -> Handle:
        async def call(context: Context) -> Any:
            timeout = asyncio.timeout(seconds)
            try:
                async with timeout:
                    return await handle(context)
            except TimeoutError as e:
                if timeout.expired():
                    raise TimeLimitError(f"cancelled after the time limit of {seconds:g} s") from e
                raise

        return call

    return wrap
