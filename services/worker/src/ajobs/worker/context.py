"""The context of a run: what a handler can learn and do besides reading its payload."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

from ajobs.protocol.codec import decode_result
from ajobs.protocol.errors import ConfigurationError, NotFoundError
from ajobs.protocol.headers import parse_headers
from ajobs.protocol.task import Task

T = TypeVar("T")

handler_logger = logging.getLogger("ajobs.handler")


class HandlerRun(Protocol):
    """The part of a run that handlers, middleware and routing use. `ajobs.worker.running.run.Run` implements it."""

    @property
    def task(self) -> Task:
        """The task as stored when this try began."""
        ...

    @property
    def raw_headers(self) -> bytes:
        """The headers of the work item's message, as received."""
        ...

    @property
    def state(self) -> Mapping[Any, Any]:
        """The values that lifespans yield, by type."""
        ...

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of the worker."""
        ...

    @property
    def remaining_s(self) -> float:
        """Seconds until the run is cancelled."""
        ...

    async def extend(self) -> None:
        """Grant the run one more max run time, from now on."""
        ...

    async def in_thread(self, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        """Call a plain function in a thread and return its result."""
        ...

    async def in_process(self, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        """Call a plain function in another process and return its result."""
        ...


class Context:
    """One run of one task. A handler receives it by annotating a parameter with this class."""

    def __init__(self, run: HandlerRun) -> None:
        """Show ``run`` to its handler."""
        self.run = run
        """The worker's side of this run. Internal: it may change in any release."""

    @property
    def task(self) -> Task:
        """The task as stored when this try began."""
        return self.run.task

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the work item's message, such as the trace context."""
        return parse_headers(self.run.raw_headers)

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose records carry ``task_id``, ``task_type``, ``queue`` and ``tries``."""
        task = self.run.task
        extra = {"task_id": task.id, "task_type": task.type, "queue": task.queue, "tries": task.tries}
        return logging.LoggerAdapter(handler_logger, extra)

    @property
    def remaining(self) -> timedelta:
        """The time until this run is cancelled."""
        return timedelta(seconds=self.run.remaining_s)

    @property
    def deadline(self) -> datetime:
        """The UTC time at which this run is cancelled. The deadline of the task is a different one."""
        return datetime.now(UTC) + self.remaining

    def state(self, kind: type[T]) -> T:
        """Return the value of this type that a lifespan yields. A parameter annotated with the type receives it too.

        Raises:
            ConfigurationError: No lifespan yields this type.
        """
        try:
            return self.run.state[kind]
        except KeyError:
            raise ConfigurationError(
                f"no lifespan of the router yields {kind!r}: register one whose return type names it"
            ) from None

    def dependency_result(self, task_id: str, result_type: type[T] | Any = Any) -> T:
        """Return the result of a parent, for tasks enqueued with ``load_dependencies``.

        Raises:
            NotFoundError: The task does not carry a result of this parent.
            InvalidPayloadError: The result is not of this type.
        """
        results = self.run.task.dependency_results or {}
        if task_id not in results:
            msg = (
                f"task {self.run.task.id} carries no result of {task_id}: "
                "enqueue it with depends_on and load_dependencies"
            )
            raise NotFoundError(msg)
        return decode_result(results[task_id], result_type)

    def dependency_results(self, result_type: type[T] | Any = Any) -> dict[str, T]:
        """Return the results of all parents by task ID, for tasks enqueued with ``load_dependencies``.

        Raises:
            InvalidPayloadError: A result is not of this type.
        """
        results = self.run.task.dependency_results or {}
        return {task_id: decode_result(result, result_type) for task_id, result in results.items()}

    async def in_progress(self) -> None:
        """Grant this run one more max run time, counted from now, once the server has confirmed that it holds the item.

        Raises:
            RequestTimeoutError: The server did not confirm. The run keeps its time.
            RunOverError: The run has ended, and its item belongs to the next try.
        """
        await self.run.extend()

    def in_progress_from_thread(self) -> None:
        """Do the same as `in_progress` from a plain handler, which runs in a thread.

        Raises:
            ConfigurationError: It was called in an async handler, where it would block the event loop. The errors of
                `in_progress` are raised too.
        """
        with suppress(RuntimeError):
            asyncio.get_running_loop()
            raise ConfigurationError("in_progress_from_thread() in an async handler: use await context.in_progress()")
        asyncio.run_coroutine_threadsafe(self.run.extend(), self.run.loop).result()
