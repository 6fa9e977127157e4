"""Routers: the handlers of task types, their middleware, and the lifespans that they share."""

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
from ajobs.worker.routing.binding import ExecutorKind, Handler, hints_of, name_of, parameters_of

H = TypeVar("H", bound=Handler)
L = TypeVar("L", bound=Callable[..., Any])

CATCH_ALL = ""
"""The task type of a handler for all tasks that no other handler matches."""


class RouteOptions(TypedDict, total=False):
    """The options of a route."""

    middleware: tuple[Middleware, ...]
    """Middleware around this handler only, inside the router's own. The first is outermost."""
    executor: ExecutorKind
    """Where a plain function runs: ``thread``, or ``process`` if it is CPU-bound."""
    max_run_time: Duration | None
    """How long one run may take, if that is shorter than the max run time of the queue."""
    retry_policy: RetryPolicy | str | None
    """Delays between tries, instead of the worker's policy: a policy, or the name of one."""


class Route(msgspec.Struct, frozen=True):
    """A handler with its options. The first middleware is outermost."""

    task_type: str
    function: Handler
    middleware: tuple[Middleware, ...]
    executor: ExecutorKind
    max_run_time: timedelta | None
    retry_policy: RetryPolicy | None


class Lifespan(msgspec.Struct, frozen=True):
    """A lifespan, and the type of the value that it provides to handlers (``None``: no value)."""

    enter: Callable[..., Any]
    provides: Any


class Router:
    """Handlers by task type: the exact type wins, then the longest registered prefix. ``""`` matches every type.

    ::

        router = Router()

        @router.handler("email:new")
        async def send(email: Email, context: Context) -> str: ...
    """

    def __init__(self) -> None:
        """Create a router without handlers."""
        self._routes: dict[str, Route] = {}
        self._middleware: list[Middleware] = []
        self._lifespans: list[Lifespan] = []
        self._included: list[tuple[str, Router]] = []

    def handler(self, task_type: str, **options: Unpack[RouteOptions]) -> Callable[[H], H]:
        """Register the decorated function for a task type or a prefix of task types.

        An async function runs in the event loop, a plain one in a thread. One parameter receives the payload, decoded
        to its annotation (``bytes``: not decoded). Parameters annotated with `Context`, `Task` or a type that a
        lifespan yields receive these. The return value is the task's result: any value that msgspec encodes as JSON.

        Args:
            task_type: The type or prefix. ``""`` matches every type.
            options: See `RouteOptions`.

        Raises:
            InvalidNameError: The task type is not a valid name.
            DuplicateHandlerError: The task type has a handler already.
            ConfigurationError: The function cannot be called like this, or an option is invalid.
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
            raise ConfigurationError(
                f"unknown route option {', '.join(map(repr, sorted(unknown)))}: choose from {known}"
            )
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
        """Run a program for each task of a type. For more options, `add` a `Command`. Raises as `handler` does."""
        self.add(task_type, Command(path, *arguments), **options)

    def remote(self, task_type: str, *, decode: bool = False, **options: Unpack[RouteOptions]) -> None:
        """Pass tasks of a type to a service, as NATS requests; see `Remote`. Raises as `handler` does."""
        self.add(task_type, Remote(task_type, decode=decode), **options)

    def use(self, *middleware: Middleware) -> None:
        """Wrap middleware around all handlers of this router, including later ones. The first is outermost.

        Raises:
            ConfigurationError: A middleware is not callable.
        """
        self._middleware += [check_middleware(each) for each in middleware]

    def lifespan(self, function: L) -> L:
        """Run the decorated async generator up to its ``yield`` before the first task, and the rest after the last.

        Handlers and later lifespans receive the yielded value in a parameter annotated with its type, which the return
        type of the generator declares::

            @router.lifespan
            async def database() -> AsyncGenerator[Database]:
                async with Database.connect() as connected:
                    yield connected

        A function that returns an async context manager works too. A parameter annotated with `Client` receives the
        worker's client.

        Raises:
            ConfigurationError: It is neither, or its parameters are unknown.
        """
        enter: Any = function
        if inspect.isasyncgenfunction(function):
            enter = asynccontextmanager(function)
        elif not callable(function) or inspect.iscoroutinefunction(function):
            msg = (
                f"{function!r} cannot be a lifespan: use an async generator that yields once, "
                "or a function that returns an async context manager"
            )
            raise ConfigurationError(msg)
        parameters_of(function)
        yielded = get_args(hints_of(function).get("return"))
        provides = yielded[0] if yielded and yielded[0] is not type(None) else None
        self._lifespans.append(Lifespan(enter, provides))
        return function

    def include(self, router: Router, prefix: str = "") -> None:
        """Add the handlers of another router, including later ones, with ``prefix`` before their types.

        Its middleware stays around its handlers, inside that of this router. Its lifespans run too.

        Raises:
            InvalidNameError: The prefix is not a valid name.
            DuplicateHandlerError: A task type has a handler already.
            ConfigurationError: It is not a router, or includes this one.
        """
        if not isinstance(router, Router):  # pyright: ignore[reportUnnecessaryIsInstance] - not everybody checks types
            raise ConfigurationError(f"include() expects a Router, got {router!r}")
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
        """Return all routes, including those of included routers, each with all of its middleware."""
        around = tuple(self._middleware)
        for route in self._routes.values():
            yield msgspec.structs.replace(route, middleware=around + route.middleware)
        for prefix, router in self._included:
            for route in router.routes():
                yield msgspec.structs.replace(
                    route, task_type=prefix + route.task_type, middleware=around + route.middleware
                )

    def lifespans(self) -> list[Lifespan]:
        """Return all lifespans in the order in which they are entered, each once."""
        found = list(self._lifespans)
        for _, router in self._included:
            found += [each for each in router.lifespans() if each not in found]
        return found

    def included(self) -> Iterator[Router]:
        """Return the included routers, and the routers included in those."""
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
        raise ConfigurationError(f"invalid executor {kind!r}: use 'thread' or 'process'")
    return kind
