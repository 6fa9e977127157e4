"""Lifespans: entered in order before the first task, left in reverse order after the last."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from ajobs.client.client import Client
from ajobs.protocol.errors import ConfigurationError
from ajobs.worker.routing.binding import name_of, parameters_of
from ajobs.worker.routing.router import Lifespan

State = dict[Any, Any]
"""The values that lifespans yield, by type."""


class CancelScope:
    """A block that can be cancelled from outside. The program continues after the block."""

    def __init__(self) -> None:
        """Prepare a block that is not cancelled."""
        self.is_cancelled = False
        """Whether the block was cancelled, perhaps before it began."""
        self._timeout: asyncio.Timeout | None = None

    def cancel(self) -> None:
        """Cancel the block, even one that has not begun. After its end, this does nothing."""
        self.is_cancelled = True
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(0)

    async def __aenter__(self) -> Self:
        """Enter the block."""
        self._timeout = asyncio.timeout(0 if self.is_cancelled else None)
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        """Leave the block, and suppress the cancellation if it came from `cancel`."""
        timeout, self._timeout = self._timeout, None
        assert timeout is not None  # noqa: S101 - it was entered
        try:
            await timeout.__aexit__(kind, error, traceback)
        except TimeoutError:
            return True
        return False


def provided_by(lifespans: Sequence[Lifespan], given: Collection[Any] = (Client,)) -> set[Any]:
    """Return the types that parameters of handlers may have: those ``given`` and those that lifespans yield.

    Raises:
        ConfigurationError: Two lifespans yield the same type, or one has a parameter that no earlier one yields.
    """
    provided: set[Any] = set(given)
    for lifespan in lifespans:
        for parameter in parameters_of(lifespan.enter):
            if parameter.hint not in provided and not parameter.optional:
                msg = (
                    f"lifespan {name_of(lifespan.enter)} has the parameter {parameter.name}, which no lifespan "
                    "before it yields: register that lifespan first, and annotate its return type"
                )
                raise ConfigurationError(msg)
        if lifespan.provides is not None:
            if lifespan.provides in provided:
                msg = (
                    f"lifespan {name_of(lifespan.enter)} yields {lifespan.provides!r}, which is provided already: "
                    "give one of them a type of its own with typing.NewType"
                )
                raise ConfigurationError(msg)
            provided.add(lifespan.provides)
    return provided


async def enter_lifespans(lifespans: Sequence[Lifespan], state: State, stack: AsyncExitStack) -> None:
    """Enter lifespans in order, and put the values that they yield into ``state``."""
    for lifespan in lifespans:
        arguments = {each.name: state[each.hint] for each in parameters_of(lifespan.enter) if each.hint in state}
        value = await stack.enter_async_context(lifespan.enter(**arguments))
        if lifespan.provides is not None:
            state[lifespan.provides] = value
