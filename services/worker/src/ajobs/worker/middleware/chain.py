"""What middleware is: a function that gets the next step and returns one to be called in its place.

::

    def shout(handle: Handle) -> Handle:
        async def call(context: Context) -> Any:
            result = await handle(context)
            return result.upper()

        return call
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ajobs.protocol.errors import ConfigurationError
from ajobs.worker.context import Context

Handle = Callable[[Context], Awaitable[Any]]
"""A step on the way to a handler: returns the task's result, or raises."""

Middleware = Callable[[Handle], Handle]


def chain(*middleware: Middleware) -> Middleware:
    """Return one middleware that is all of these, the first outermost.

    Raises:
        ConfigurationError: One is not callable.
    """
    checked = [check_middleware(each) for each in middleware]

    def wrap(handle: Handle) -> Handle:
        for each in reversed(checked):
            handle = check_middleware(each(handle), "what middleware returned")
        return handle

    return wrap


def check_middleware(middleware: Any, what: str = "middleware") -> Any:
    """Return it when it can be called.

    Raises:
        ConfigurationError: It cannot.
    """
    if not callable(middleware):
        raise ConfigurationError(f"{what} is {middleware!r}: use a function that takes the next step and returns one")
    return middleware
