"""Routing: which handler a task type goes to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from asyncjobs.protocol.errors import ConfigurationError, DuplicateHandlerError
from asyncjobs.protocol.names import check_name
from asyncjobs.worker.invocation import Handler, Invocation, bind

H = TypeVar("H", bound=Handler)

CATCH_ALL = ""
"""The task type under which a handler takes every task that no other takes."""


class Router:
    """Handlers by task type: the exact type first, then the longest registered prefix; ``""`` is every type's prefix.

    ::

        router = Router()

        @router.handler("email:new")
        async def send(email: Email, context: Context) -> str: ...
    """

    def __init__(self) -> None:
        """Make a router without handlers."""
        self._exact: dict[str, Invocation] = {}
        self._longest_first: list[str] = []

    def handler(self, task_type: str) -> Callable[[H], H]:
        """Register the decorated function for a task type, and for all types that begin with it and have no other.

        The function may be async, or plain and then runs in a thread. It may have one parameter for the payload, which
        is decoded to the parameter's annotation (``bytes``: as it is), and parameters annotated `Context` or `Task`.
        It returns the task's result: any value that msgspec encodes as JSON.

        Raises:
            InvalidNameError: The task type is not a valid name.
            DuplicateHandlerError: It has a handler already.
            ConfigurationError: The function cannot be called that way.
        """

        def register(function: H) -> H:
            self.add(task_type, function)
            return function

        return register

    def add(self, task_type: str, function: Handler) -> None:
        """Register a function for a task type. Raises as `handler` does."""
        if task_type != CATCH_ALL:
            check_name("task type", task_type)
        if task_type in self._exact:
            msg = f"task type {task_type!r} has a handler already: {self._exact[task_type].function!r}"
            raise DuplicateHandlerError(msg)
        if not callable(function):
            msg = f"the handler for task type {task_type!r} is {function!r}: use a function"
            raise ConfigurationError(msg)
        self._exact[task_type] = bind(function)
        self._longest_first = sorted(self._exact, key=len, reverse=True)

    @property
    def task_types(self) -> list[str]:
        """The registered task types and prefixes, sorted."""
        return sorted(self._exact)

    def find(self, task_type: str) -> Invocation | None:
        """Return how to call the handler for a task type, if there is one."""
        found = self._exact.get(task_type)
        if found is not None:
            return found
        for prefix in self._longest_first:
            if task_type.startswith(prefix):
                return self._exact[prefix]
        return None
