"""Running one handler: whatever it does becomes an outcome."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any

from asyncjobs.client.storage.tasks import Stored
from asyncjobs.protocol.codec import encode_value
from asyncjobs.protocol.decisions import Failed, Interrupted, Outcome, Succeeded, Terminated, error_text
from asyncjobs.protocol.errors import InvalidPayloadError
from asyncjobs.worker.context import Context
from asyncjobs.worker.invocation import Invocation
from asyncjobs.worker.lease import Lease
from asyncjobs.worker.outcomes import RetryTask, TerminateTask
from asyncjobs.worker.router import Router

handler_logger = logging.getLogger("asyncjobs.handler")


class Run:
    """A task that a handler has right now."""

    def __init__(self, stored: Stored, lease: Lease, extend: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Keep the saved task, the time that it has and how to get more."""
        self.task = stored.task
        self.lease = lease
        self.extend = extend
        self.loop = asyncio.get_running_loop()
        self.thread: asyncio.Future[Any] | None = None
        """A plain handler's thread, which cannot be stopped and may outlive the run."""


class Handling:
    """Finds and runs handlers."""

    def __init__(self, router: Router, threads: Executor) -> None:
        """Find handlers in ``router``, and run the plain ones in ``threads``."""
        self._router = router
        self._threads = threads
        self.threads_running = 0
        """How many plain handlers are running, those whose time is over included."""

    async def handle(self, run: Run) -> Outcome:
        """Run the handler for a task and return what came of it. Raises nothing but what ends the process."""
        invocation = self._router.find(run.task.type)
        if invocation is None:
            return Failed(f'no handler for task type "{run.task.type}"')
        try:
            arguments = invocation.arguments(Context(run, handler_logger))
        except InvalidPayloadError as e:
            return Terminated(str(e))
        try:
            async with run.lease:
                value = await self._call(invocation, arguments, run)
        except asyncio.CancelledError:
            return Interrupted() if is_cancelled() else Failed("the handler was cancelled by something that it awaited")
        except (Exception, SystemExit) as e:
            return _outcome_of(e, run.lease)
        try:
            return Succeeded(encode_value("result", value))
        except InvalidPayloadError as e:
            return Terminated(str(e))

    async def _call(self, invocation: Invocation, arguments: dict[str, Any], run: Run) -> Any:
        if invocation.is_async:
            return await invocation.function(**arguments)
        run.thread = invocation.start_thread(arguments, self._threads)
        self.threads_running += 1
        run.thread.add_done_callback(self._thread_ended)
        # A cancelled wait must not be taken for a thread that ended.
        return await asyncio.shield(run.thread)

    def _thread_ended(self, thread: asyncio.Future[Any]) -> None:
        self.threads_running -= 1
        if not thread.cancelled():
            thread.exception()  # a run that gave up on its thread does not look


def _outcome_of(error: BaseException, lease: Lease) -> Outcome:
    match error:
        case TerminateTask():
            return Terminated(error_text(error))
        case RetryTask():
            return Failed(error_text(error), error.delay_ns)
        case TimeoutError() if lease.expired:
            return Failed(f"cancelled after the max run time of {lease.max_run_time}")
        case SystemExit():
            return Failed(f"the handler called sys.exit({error.code!r})")
        case _:
            return Failed(error_text(error))


def is_cancelled() -> bool:
    """Tell whether this very asyncio task is being cancelled, as opposed to something that it waited for."""
    current = asyncio.current_task()
    return current is not None and current.cancelling() > 0
