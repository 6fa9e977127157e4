"""What a handler can know and do besides its payload."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from ajobs.protocol.codec import decode_result
from ajobs.protocol.errors import ConfigurationError, NotFoundError
from ajobs.protocol.headers import parse_headers
from ajobs.protocol.task import Task

if TYPE_CHECKING:
    from ajobs.worker.running.run import Run

T = TypeVar("T")

handler_logger = logging.getLogger("ajobs.handler")


class Context:
    """One run of one task. A handler gets it by annotating a parameter with this class."""

    def __init__(self, run: Run) -> None:
        """Show ``run`` to its handler."""
        self.run = run
        """The worker's side of this run, for what calls handlers."""

    @property
    def task(self) -> Task:
        """The task as it was stored when this try began."""
        return self.run.task

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the work item's message."""
        return parse_headers(self.run.raw_headers)

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose records carry ``task_id``, ``task_type``, ``queue`` and ``tries``."""
        task = self.run.task
        extra = {"task_id": task.id, "task_type": task.type, "queue": task.queue, "tries": task.tries}
        return logging.LoggerAdapter(handler_logger, extra)

    @property
    def remaining(self) -> timedelta:
        """How long this run may still take until it is cancelled."""
        return timedelta(seconds=self.run.lease.remaining_s)

    @property
    def deadline(self) -> datetime:
        """When this run is cancelled, in UTC."""
        return datetime.now(UTC) + self.remaining

    def state(self, kind: type[T]) -> T:
        """Return what a lifespan of the router yields as that type; handlers may annotate a parameter with it instead.

        Raises:
            ConfigurationError: No lifespan yields it.
        """
        try:
            return self.run.state[kind]
        except KeyError:
            raise ConfigurationError(f"no lifespan of the router yields {kind!r}") from None

    def dependency_result(self, task_id: str, result_type: type[T] | Any = Any) -> T:
        """Return what a task that this one depends on returned, for tasks made with ``load_dependencies``.

        Raises:
            NotFoundError: This task has no result of that one.
            InvalidPayloadError: It is not of that type.
        """
        results = self.run.task.dependency_results or {}
        if task_id not in results:
            msg = f"task {self.run.task.id} has no result of {task_id}: make it with depends_on and load_dependencies"
            raise NotFoundError(msg)
        return decode_result(results[task_id], result_type)

    def dependency_results(self, result_type: type[T] | Any = Any) -> dict[str, T]:
        """Return the results of all tasks that this one depends on, by task id. Raises as `dependency_result` does."""
        results = self.run.task.dependency_results or {}
        return {task_id: decode_result(result, result_type) for task_id, result in results.items()}

    async def in_progress(self) -> None:
        """Give this run one more max run time from now on, once the server has confirmed that the item is still ours.

        Raises:
            RequestTimeoutError: It did not confirm; the time stays as it was.
        """
        await self.run.extend()

    def in_progress_from_thread(self) -> None:
        """Do the same from a plain handler, which runs in a thread."""
        asyncio.run_coroutine_threadsafe(self.run.extend(), self.run.loop).result()
