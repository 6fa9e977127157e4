"""Routing: which handler a task type goes to, what is around it, and what lives as long as the worker."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Literal, TypedDict, TypeVar, Unpack, get_args

import msgspec

from ajobs.protocol.durations import Duration, as_timedelta
from ajobs.protocol.errors import ConfigurationError, DuplicateHandlerError
from ajobs.protocol.names import check_name
from ajobs.protocol.retry import RetryPolicy, retry_policy
from ajobs.worker.handlers.command import Command
from ajobs.worker.handlers.remote import Remote
from ajobs.worker.middleware.chain import Middleware, check_middleware
from ajobs.worker.routing.binding import Handler, hints_of, name_of, parameters_of
from ajobs.worker.running.executors import ExecutorKind

H = TypeVar("H", bound=Handler)
L = TypeVar("L", bound=Callable[..., Any])

CATCH_ALL = ""
"""The task type under which a handler takes every task that no other takes."""


class RouteOptions(TypedDict, total=False):
    """What a route can be given besides its type and handler."""

    middleware: tuple[Middleware, ...]
    """What is around this handler alone, the first outermost, within the router's own."""
    executor: ExecutorKind
    """Where a plain function runs: ``thread``, or ``process`` for one that computes."""
    max_run_time: Duration | None
    """How long one run may take. It never takes longer than the queue allows."""
    retry_policy: RetryPolicy | str | None
    """How long failed tasks of this type wait, instead of the client's policy."""


class Route(msgspec.Struct, frozen=True):
    """A handler and what belongs to it. ``middleware`` has the outermost first."""

    task_type: str
    function: Handler
    middleware: tuple[Middleware, ...]
    executor: ExecutorKind
    max_run_time: timedelta | None
    retry_policy: RetryPolicy | None


class Lifespan(msgspec.Struct, frozen=True):
    """Something that lives as long as the worker, and the type under which handlers get it (``None``: not at all)."""

    enter: Callable[..., Any]
    provides: Any


class Router:
    """Handlers by task type: the exact type first, then the longest registered prefix; ``""`` is every type's prefix.

    ::

        router = Router()

        @router.handler("email:new")
        async def send(email: Email, context: Context) -> str: ...
    """

    def __init__(self) -> None:
        """Make a router without handlers."""
        self._routes: dict[str, Route] = {}
        self._middleware: list[Middleware] = []
        self._lifespans: list[Lifespan] = []
        self._included: list[tuple[str, Router]] = []

    def handler(self, task_type: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Register the decorated function for a task type, and for all types that begin with it and have no other.

        The function may be async, or plain and then runs in a thread. It may have one parameter for the payload, which
        is decoded to the parameter's annotation (``bytes``: as it is), and parameters annotated `Context`, `Task` or
        with what a lifespan yields. It returns the task's result: any value that msgspec encodes as JSON.

        Args:
            task_type: The type or prefix; ``""`` takes what no other handler takes.
            options: See `RouteOptions`.

        Raises:
            InvalidNameError: The task type is not a valid name.
            DuplicateHandlerError: It has a handler already.
            ConfigurationError: The function cannot be called that way, or an option is wrong.
        """

        def register(function: H) -> H:
            self.add(task_type, function, **options)
            return function

        return register

    def add(self, task_type: str, function: Handler, **options: Unpack[RouteOptions]) -> None:
        """Register a function for a task type. Raises as `handler` does."""
        if task_type != CATCH_ALL:
            check_name("task type", task_type)
        unknown = options.keys() - RouteOptions.__optional_keys__
        if unknown:
            known = ", ".join(sorted(RouteOptions.__optional_keys__))
            raise ConfigurationError(f"unknown route option {', '.join(sorted(unknown))}: use some of {known}")
        parameters_of(function)
        self._check_free(task_type)
        max_run_time = options.get("max_run_time")
        policy = options.get("retry_policy")
        self._routes[task_type] = Route(
            task_type=task_type,
            function=function,
            middleware=tuple(check_middleware(each) for each in options.get("middleware", ())),
            executor=_check_executor(options.get("executor", "thread")),
            max_run_time=None if max_run_time is None else as_timedelta(max_run_time, "max_run_time", positive=True),
            retry_policy=retry_policy(policy) if isinstance(policy, str) else policy,
        )

    def command(self, task_type: str, path: str, *arguments: str, **options: Unpack[RouteOptions]) -> None:
        """Have a program handle a task type; for more settings, `add` a `Command`. Raises as `handler` does."""
        self.add(task_type, Command(path, *arguments), **options)

    def remote(self, task_type: str, *, decode: bool = False, **options: Unpack[RouteOptions]) -> None:
        """Have a service that answers requests over NATS handle a task type; see `Remote`. Raises as `handler` does."""
        self.add(task_type, Remote(task_type, decode=decode), **options)

    def use(self, *middleware: Middleware) -> None:
        """Put middleware around all handlers of this router, those that are registered later too, the first outermost.

        Raises:
            ConfigurationError: One is not callable.
        """
        self._middleware += [check_middleware(each) for each in middleware]

    def lifespan(self, function: L) -> L:
        """Have the decorated async generator run around the worker: up to its ``yield`` before the first task.

        What it yields is given to every handler, and to every lifespan registered later, that has a parameter
        annotated with the same type as the generator's return type says::

            @router.lifespan
            async def database() -> AsyncGenerator[Database]:
                async with Database.connect() as connected:
                    yield connected

        A function that returns an async context manager is fine too. A parameter annotated `Client` gets the worker's.

        Raises:
            ConfigurationError: It is neither, or does not tell its parameters.
        """
        enter: Any = function
        if inspect.isasyncgenfunction(function):
            enter = asynccontextmanager(function)
        elif not callable(function) or inspect.iscoroutinefunction(function):
            raise ConfigurationError(f"{function!r} is no lifespan: use an async generator that yields once")
        parameters_of(function)
        yielded = get_args(hints_of(function).get("return"))
        provides = yielded[0] if yielded and yielded[0] is not type(None) else None
        self._lifespans.append(Lifespan(enter, provides))
        return function

    def include(self, router: Router, prefix: str = "") -> None:
        """Take over another router's handlers, those that it gets later too, with ``prefix`` before their types.

        Its middleware stays around its handlers, within that of this router. Its lifespans run too.

        Raises:
            InvalidNameError: The prefix is not a valid name.
            DuplicateHandlerError: A type has a handler already.
            ConfigurationError: It is no router, or includes this one.
        """
        if not isinstance(router, Router):  # pyright: ignore[reportUnnecessaryIsInstance] - not everybody checks types
            raise ConfigurationError(f"{router!r} is no router")
        if router is self or self in router.included():
            raise ConfigurationError("a router cannot include itself")
        if prefix:
            check_name("prefix", prefix)
        for task_type in router.task_types:
            self._check_free(prefix + task_type)
        self._included.append((prefix, router))

    @property
    def task_types(self) -> list[str]:
        """The registered task types and prefixes, sorted."""
        return sorted(route.task_type for route in self.routes())

    def routes(self) -> Iterator[Route]:
        """Return all routes, those of included routers too, each with all middleware that is around it."""
        around = tuple(self._middleware)
        for route in self._routes.values():
            yield msgspec.structs.replace(route, middleware=around + route.middleware)
        for prefix, router in self._included:
            for route in router.routes():
                yield msgspec.structs.replace(
                    route, task_type=prefix + route.task_type, middleware=around + route.middleware
                )

    def lifespans(self) -> list[Lifespan]:
        """Return all lifespans in the order in which they are entered, one that was included twice once."""
        found = list(self._lifespans)
        for _, router in self._included:
            found += [each for each in router.lifespans() if each not in found]
        return found

    def included(self) -> Iterator[Router]:
        """Return the routers that are included, those within them too."""
        for _, router in self._included:
            yield router
            yield from router.included()

    def _check_free(self, task_type: str) -> None:
        for route in self.routes():
            if route.task_type == task_type:
                msg = f"task type {task_type!r} has a handler already: {name_of(route.function)}"
                raise DuplicateHandlerError(msg)


def _check_executor(kind: Any) -> Literal["thread", "process"]:
    if kind not in {"thread", "process"}:
        raise ConfigurationError(f"executor is {kind!r}: use 'thread' or 'process'")
    return kind
