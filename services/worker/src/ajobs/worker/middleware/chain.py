"""Middleware: a function that receives the next step and returns one to call in its place.

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
"""A step on the way to a handler. Returns the task's result, or raises."""

Middleware = Callable[[Handle], Handle]


def chain(*middleware: Middleware) -> Middleware:
    """Combine middleware into one. The first is outermost.

    Raises:
        ConfigurationError: A middleware is not callable.
    """
    checked = [check_middleware(each) for each in middleware]

    def wrap(handle: Handle) -> Handle:
        for each in reversed(checked):
            handle = check_middleware(each(handle), "middleware result")
        return handle

    return wrap


def check_middleware(middleware: Any, what: str = "middleware") -> Any:
    """Return the middleware if it can be called.

    Raises:
        ConfigurationError: It is not callable.
    """
    if not callable(middleware):
        raise ConfigurationError(
            f"invalid {what} {middleware!r}: use a function that takes the next step and returns one"
        )
    return middleware
