"""One run of one task, as the parts of a worker see it. Handlers see it as a `Context`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ajobs.protocol.task import Task
from ajobs.worker.running.executors import Executors
from ajobs.worker.running.lease import Lease

UNWIND_S = 5.0
"""Seconds for a cancelled handler to end."""


class Run:
    """A task whose handler is running. Implements `HandlerRun`."""

    def __init__(
        self,
        task: Task,
        lease: Lease,
        extend: Callable[[], Awaitable[None]],
        *,
        executors: Executors,
        state: Mapping[Any, Any],
        raw_headers: bytes,
    ) -> None:
        """Prepare a run.

        Args:
            task: The task as saved when the run started.
            lease: Limits the run time and keeps the item.
            extend: Grants one more max run time.
            executors: Where plain functions run.
            state: The values that lifespans yield, by type.
            raw_headers: The headers of the work item's message, as received.
        """
        self.task = task
        self.lease = lease
        self.state = state
        self.raw_headers = raw_headers
        self.loop = asyncio.get_running_loop()
        self.handling: asyncio.Task[Any] | None = None
        """The asyncio task of the handler, which has no other work. Only the handler sees its cancellation."""
        self.is_interrupted = False
        """Whether the worker cancelled the handler because it stops."""
        self.is_concluded = False
        """Whether the outcome was decided while the handler still ran: what it does afterwards does not count."""
        self.on_overrun: Callable[[], None] | None = None
        """Called when the handler still runs `UNWIND_S` after it was cancelled because its time was up."""
        self.began = self.loop.time()
        """The loop's time at the start of the run, in seconds."""
        self.thread: asyncio.Future[Any] | None = None
        """The thread of a plain handler. It cannot be stopped and may outlive the run."""
        self.error: BaseException | None = None
        """The exception that the handler raised, for the log."""
        self._extend = extend
        self._executors = executors

    @property
    def name(self) -> str:
        """The handler and its task, for logs."""
        return f"the handler of task {self.task.id} (type {self.task.type})"

    @property
    def remaining_s(self) -> float:
        """Seconds until the run is cancelled."""
        return self.lease.remaining_s

    def interrupt(self) -> None:
        """Cancel the handler because the worker stops."""
        self.is_interrupted = True
        if self.handling is not None:
            self.handling.cancel()

    def time_is_up(self) -> None:
        """Cancel the handler because it has used up its time."""
        if self.handling is not None:
            self.handling.cancel()
            if self.on_overrun is not None:
                self.loop.call_later(UNWIND_S, self.on_overrun)

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return self.loop.time() - self.began

    async def extend(self) -> None:
        """Grant the run one more max run time, from now on."""
        await self._extend()

    async def in_thread(self, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        """Call a plain function in a thread and return its result."""
        self.thread = self._executors.start_thread(function, arguments)
        # Without the shield, cancelling the run would mark the thread as cancelled while it still runs.
        return await asyncio.shield(self.thread)

    async def in_process(self, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        """Call a plain function in another process, which is killed if the run is cancelled, and return its result."""
        return await self._executors.in_process(function, arguments)
