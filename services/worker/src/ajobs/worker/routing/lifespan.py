"""What lives as long as a worker: entered before the first task, left after the last, in reverse."""

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
"""What there is, by type."""


class CutOff:
    """A block that somebody else can end, as if it had been cancelled, and goes on after it."""

    def __init__(self) -> None:
        """Prepare a block."""
        self.happened = False
        """Whether it was to be ended, before it began perhaps."""
        self._timeout: asyncio.Timeout | None = None

    def now(self) -> None:
        """End the block, or keep it from doing anything if it has not begun; nothing once it is over."""
        self.happened = True
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(0)

    async def __aenter__(self) -> Self:
        """Begin the block."""
        self._timeout = asyncio.timeout(0 if self.happened else None)
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        """Take the end that was asked for as a usual one."""
        timeout, self._timeout = self._timeout, None
        assert timeout is not None  # noqa: S101 - it was entered
        try:
            await timeout.__aexit__(kind, error, traceback)
        except TimeoutError:
            return True
        return False


def provided_by(lifespans: Sequence[Lifespan], given: Collection[Any] = (Client,)) -> set[Any]:
    """Return the types that handlers may ask for: those ``given`` and those that lifespans yield.

    Raises:
        ConfigurationError: Two lifespans yield the same type, or one asks for what no earlier one yields.
    """
    provided: set[Any] = set(given)
    for lifespan in lifespans:
        for parameter in parameters_of(lifespan.enter):
            if parameter.hint not in provided and not parameter.optional:
                msg = (
                    f"lifespan {name_of(lifespan.enter)} asks for {parameter.name}, which no lifespan before it "
                    "yields: register that one first, and annotate what it yields"
                )
                raise ConfigurationError(msg)
        if lifespan.provides is not None:
            if lifespan.provides in provided:
                msg = (
                    f"lifespan {name_of(lifespan.enter)} yields {lifespan.provides!r}, which there is already: "
                    "tell them apart by typing.NewType"
                )
                raise ConfigurationError(msg)
            provided.add(lifespan.provides)
    return provided


async def enter_lifespans(lifespans: Sequence[Lifespan], state: State, stack: AsyncExitStack) -> None:
    """Enter lifespans in order, and put what they yield into ``state``."""
    for lifespan in lifespans:
        arguments = {each.name: state[each.hint] for each in parameters_of(lifespan.enter) if each.hint in state}
        value = await stack.enter_async_context(lifespan.enter(**arguments))
        if lifespan.provides is not None:
            state[lifespan.provides] = value
