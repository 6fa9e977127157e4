"""The table in which a worker looks up handlers, built once from its router."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from ajobs.protocol.errors import DuplicateHandlerError
from ajobs.protocol.retry import RetryPolicy
from ajobs.worker.middleware.chain import Handle, chain
from ajobs.worker.routing.binding import bind
from ajobs.worker.routing.router import Route, Router

OTHER = "other"
"""The label of tasks without a handler of their own type or prefix."""


class BoundRoute(msgspec.Struct, frozen=True):
    """A handler that is ready to be called, with its middleware and options."""

    task_type: str
    """The task type or prefix for which it is registered."""
    handle: Handle
    max_run_time_s: float | None
    retry_policy: RetryPolicy | None


class RoutingTable:
    """Handlers by task type: the exact type wins, then the longest prefix."""

    def __init__(self, routes: Sequence[BoundRoute]) -> None:
        """Build the table.

        Raises:
            DuplicateHandlerError: A task type has two handlers.
        """
        self._exact = {each.task_type: each for each in routes}
        if len(self._exact) < len(routes):
            doubled = sorted({each.task_type for each in routes if self._exact[each.task_type] is not each})
            raise DuplicateHandlerError(f"more than one handler for task type {', '.join(map(repr, doubled))}")
        self._longest_first = sorted(self._exact, key=len, reverse=True)

    @classmethod
    def of(cls, router: Router, provided: Collection[Any] = ()) -> RoutingTable:
        """Build the table of a router, whose handlers may have parameters of the ``provided`` types.

        Raises:
            ConfigurationError: A handler cannot be called.
            DuplicateHandlerError: A task type has two handlers.
        """
        return cls([_bound(route, provided) for route in router.routes()])

    @property
    def task_types(self) -> list[str]:
        """The registered task types and prefixes, sorted."""
        return sorted(self._exact)

    def find(self, task_type: str) -> BoundRoute | None:
        """Return the handler for a task type, or ``None`` if it has no handler."""
        found = self._exact.get(task_type)
        if found is not None:
            return found
        for prefix in self._longest_first:
            if task_type.startswith(prefix):
                return self._exact[prefix]
        return None


def label_of(route: BoundRoute | None) -> str:
    """Return the type of a task for metrics: the registered type or prefix, else ``other``.

    Anyone who enqueues may invent types, and each label stays in memory for as long as the process runs.
    """
    return (route.task_type if route is not None else "") or OTHER


def _bound(route: Route, provided: Collection[Any]) -> BoundRoute:
    binding = bind(route.function, executor=route.executor, provided=provided)
    # Without middleware, the call of the handler is the only one.
    handle = chain(*route.middleware)(binding.__call__) if route.middleware else binding.__call__
    max_run_time_s = None if route.max_run_time is None else route.max_run_time.total_seconds()
    return BoundRoute(route.task_type, handle, max_run_time_s, route.retry_policy)
