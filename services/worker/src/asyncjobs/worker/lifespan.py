"""What lives as long as a worker: entered before the first task, left after the last, in reverse."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from typing import Any

from asyncjobs.client.client import Client
from asyncjobs.protocol.errors import ConfigurationError
from asyncjobs.worker.invocation import name_of, parameters_of
from asyncjobs.worker.router import Lifespan

State = dict[Any, Any]
"""What there is, by type."""


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
