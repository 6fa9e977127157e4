"""The table that a worker looks handlers up in, made once from its router."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from ajobs.protocol.errors import DuplicateHandlerError
from ajobs.protocol.retry import RetryPolicy
from ajobs.worker.middleware.chain import Handle, chain
from ajobs.worker.routing.binding import bind
from ajobs.worker.routing.router import Route, Router


class Routed(msgspec.Struct, frozen=True):
    """How to handle a task type."""

    task_type: str
    """The type or prefix that it was registered for."""
    handle: Handle
    max_run_time_s: float | None
    retry_policy: RetryPolicy | None


class Routes:
    """Handlers by task type."""

    def __init__(self, routed: Sequence[Routed]) -> None:
        """Look up among ``routed``.

        Raises:
            DuplicateHandlerError: Two are for one type.
        """
        self._exact = {each.task_type: each for each in routed}
        if len(self._exact) < len(routed):
            doubled = sorted({each.task_type for each in routed if self._exact[each.task_type] is not each})
            raise DuplicateHandlerError(f"more than one handler for task type {', '.join(map(repr, doubled))}")
        self._longest_first = sorted(self._exact, key=len, reverse=True)

    @classmethod
    def of(cls, router: Router, provided: Collection[Any] = ()) -> Routes:
        """Make the table of a router, whose handlers may ask for the ``provided`` types.

        Raises:
            ConfigurationError: A handler cannot be called with what there is.
            DuplicateHandlerError: Two are for one type.
        """
        return cls([_routed(route, provided) for route in router.routes()])

    @property
    def task_types(self) -> list[str]:
        """The registered task types and prefixes, sorted."""
        return sorted(self._exact)

    def find(self, task_type: str) -> Routed | None:
        """Return how to handle a task type: by the exact one, else the longest prefix, if there is any."""
        found = self._exact.get(task_type)
        if found is not None:
            return found
        for prefix in self._longest_first:
            if task_type.startswith(prefix):
                return self._exact[prefix]
        return None


def _routed(route: Route, provided: Collection[Any]) -> Routed:
    invocation = bind(route.function, executor=route.executor, provided=provided)
    # Without middleware there is no call more than that of the handler.
    handle = chain(*route.middleware)(invocation.__call__) if route.middleware else invocation.__call__
    max_run_time_s = None if route.max_run_time is None else route.max_run_time.total_seconds()
    return Routed(route.task_type, handle, max_run_time_s, route.retry_policy)
