"""Cancel a handler that takes too long."""

from __future__ import annotations

import asyncio
from typing import Any

from ajobs.protocol.durations import Duration, as_seconds
from ajobs.worker.context import Context
from ajobs.worker.middleware.chain import Handle, Middleware


class TimeLimitError(Exception):
    """A handler exceeded its time limit."""


def time_limit(limit: Duration) -> Middleware:
    """Return middleware that cancels a handler after this time; the task's try fails.

    The max run time of the queue applies too. A thread cannot be stopped: the try of a plain handler fails in time, but
    its thread runs on and keeps its slot until it returns.

    Raises:
        InvalidDurationError: The time is not a duration.
        ConfigurationError: It is not greater than 0.
    """
    seconds = as_seconds(limit, "time limit", positive=True)

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
