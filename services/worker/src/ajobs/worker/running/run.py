"""One run of one task, as the parts of a worker see it; handlers see it as a `Context`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ajobs.protocol.task import Task
    from ajobs.worker.running.executors import Executors
    from ajobs.worker.running.lease import Lease

Extend = Callable[[], Coroutine[Any, Any, None]]


class Run:
    """A task that a handler has right now."""

    def __init__(
        self,
        task: Task,
        lease: Lease,
        extend: Extend,
        *,
        executors: Executors,
        state: Mapping[Any, Any],
        raw_headers: bytes,
    ) -> None:
        """Keep the saved task, the time that it has, how to get more, and what its worker has to offer."""
        self.task = task
        self.lease = lease
        self.extend = extend
        self.executors = executors
        self.state = state
        """What the router's lifespans yielded, by type."""
        self.raw_headers = raw_headers
        """The headers of the work item's message, as they were sent."""
        self.loop = asyncio.get_running_loop()
        self.slot = _current_task()
        """What runs it, and is cancelled to stop it."""
        self.began = self.loop.time()
        self.thread: asyncio.Future[Any] | None = None
        """A plain handler's thread, which cannot be stopped and may outlive the run."""
        self.error: BaseException | None = None
        """What the handler raised, for the log."""


def _current_task() -> asyncio.Task[Any]:
    current = asyncio.current_task()
    assert current is not None  # noqa: S101 - a coroutine always runs in a task
    return current
