"""Where plain handlers run: in threads of this process, or in processes of their own when they compute."""

from __future__ import annotations

import asyncio
import contextvars
import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pebble import ProcessExpired, ProcessPool

from ajobs.protocol.decisions import error_text

if TYPE_CHECKING:
    from ajobs.worker.running.run import Run

ExecutorKind = Literal["thread", "process"]

STOP_S = 5.0
"""Seconds that processes have to end before they are killed."""


class ProcessDiedError(RuntimeError):
    """The process that ran a handler ended before the handler did."""


class HandlerFailedError(RuntimeError):
    """What a handler raised in its process, when that itself cannot be passed on."""


class Executors:
    """Threads, and processes once a handler asks for one."""

    def __init__(self, slots: int) -> None:
        """Have a thread for each of ``slots``, and a process for each core at most."""
        self._threads = ThreadPoolExecutor(slots, "ajobs-handler")
        self._processes: ProcessPool | None = None
        self._most_processes = min(slots, os.cpu_count() or 1)
        self._closed = False
        self.threads_running = 0
        """How many plain handlers are running, those whose time is over included."""

    async def in_thread(self, run: Run, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        """Call a function in a thread, with a copy of this task's context variables."""
        call = partial(contextvars.copy_context().run, partial(_call, function, arguments))
        run.thread = run.loop.run_in_executor(self._threads, call)
        self.threads_running += 1
        run.thread.add_done_callback(self._thread_ended)
        # A cancelled wait must not be taken for a thread that ended.
        return await asyncio.shield(run.thread)

    def _thread_ended(self, thread: asyncio.Future[Any]) -> None:
        self.threads_running -= 1
        if not thread.cancelled():
            thread.exception()  # a run that gave up on its thread does not look

    async def in_process(self, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        """Call a function in another process, which is killed when this is cancelled.

        Raises:
            ProcessDiedError: The process ended on its own.
        """
        try:
            call = pickle.dumps((function, arguments))
        except Exception as e:
            raise HandlerFailedError(f"the handler or its arguments cannot be given to a process: {e}") from e
        future = self._living_pool().schedule(_call_there, args=(call,))  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - partly typed
        try:
            answer: bytes = await asyncio.wrap_future(future)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        except ProcessExpired as e:
            msg = f"the handler's process died: {_exit(e.exitcode)}"
            raise ProcessDiedError(msg) from None
        returned, value = pickle.loads(answer)  # noqa: S301 - from a process of ours
        if returned:
            return value
        raise value

    def _living_pool(self) -> ProcessPool:
        if self._closed:
            raise RuntimeError("the worker has stopped: there are no more processes")
        if self._processes is None or not self._processes.active:
            # Forking this very process would copy its loop, its threads and its connection.
            start = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
            self._processes = ProcessPool(
                max_workers=self._most_processes,
                context=multiprocessing.get_context(start),  # pyright: ignore[reportArgumentType] - as on Windows
                initializer=_begin_process,
            )
        return self._processes

    async def close(self) -> None:
        """Take no more calls. Threads cannot be stopped; processes are."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._processes is not None:
            self._processes.stop()
            await asyncio.to_thread(self._processes.join, STOP_S)


def _call(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    try:
        return function(**arguments)
    except StopIteration as e:
        # No future takes it: whoever waits would wait for ever.
        raise RuntimeError("the handler raised StopIteration: give next() a default, or catch it") from e


def _call_there(call: bytes) -> bytes:
    """Call a function in a process, and return what it returned or raised as something that the worker can read.

    The pool would not survive an answer that cannot be sent or read, as exceptions with a constructor of their own are.
    """
    try:
        function, arguments = pickle.loads(call)  # noqa: S301 - from the worker
        return pickle.dumps((True, _call(function, arguments)))
    except BaseException as e:
        return _readable(e)


def _readable(error: BaseException) -> bytes:
    note = f"in its process:\n{''.join(traceback.format_exception(error))}"
    if isinstance(error, Exception | SystemExit):
        with suppress(Exception):  # whatever its class does
            error.add_note(note)
            answer = pickle.dumps((False, error))
            pickle.loads(answer)  # noqa: S301 - made a line above
            return answer
    name, text = type(error).__name__, error_text(error)
    failed = HandlerFailedError(text if text.startswith(name) else f"{name}: {text}")
    failed.add_note(note)
    return pickle.dumps((False, failed))


def _begin_process() -> None:
    """Leave Ctrl-C, which the terminal sends to every process, to the worker, and end when the worker does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_worker, name="end with the worker", daemon=True).start()


def _end_with_worker() -> None:
    """Wait for the end of the worker, and end this process: one that was killed had no time to do it."""
    worker = multiprocessing.parent_process()
    if worker is not None:
        worker.join()
        os.kill(os.getpid(), signal.SIGTERM if os.name == "nt" else signal.SIGKILL)


def _exit(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit status {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
