"""The threads and processes in which plain handlers run. Handlers that compute belong in processes."""

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
from typing import Any

from pebble import ProcessExpired, ProcessPool

from ajobs.protocol.decisions import error_text
from ajobs.worker.running import forks

STOP_S = 5.0
"""Seconds for processes to end before they are killed."""


class ProcessDiedError(RuntimeError):
    """The process of a handler ended before the handler did."""


class HandlerFailedError(RuntimeError):
    """Replaces an exception that a handler raised in its process and that cannot be pickled."""


class Executors:
    """Threads, and processes once a handler needs one."""

    def __init__(self, slots: int) -> None:
        """Use up to one thread per slot, and up to one process per slot and core."""
        self._threads = ThreadPoolExecutor(slots, "ajobs-handler")
        self._processes: ProcessPool | None = None
        self._most_processes = min(slots, os.cpu_count() or 1)
        self._closed = False
        forks.begin()
        self.threads_running = 0
        """Number of threads in use, including those of handlers whose run has ended."""

    def start_thread(self, function: Callable[..., Any], arguments: dict[str, Any]) -> asyncio.Future[Any]:
        """Call a function in a thread, with a copy of the current context variables, and return its future."""
        call = partial(contextvars.copy_context().run, partial(_call, function, arguments))
        thread = asyncio.get_running_loop().run_in_executor(self._threads, call)
        self.threads_running += 1
        thread.add_done_callback(self._thread_ended)
        return thread

    def _thread_ended(self, thread: asyncio.Future[Any]) -> None:
        self.threads_running -= 1
        if not thread.cancelled():
            thread.exception()  # retrieved here, because a run that timed out no longer reads it

    async def in_process(self, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        """Call a function in another process, which is killed if the call is cancelled.

        Raises:
            ProcessDiedError: The process ended before the function returned.
            HandlerFailedError: The call or the exception cannot be pickled. Other exceptions pass through.
        """
        try:
            call = pickle.dumps((function, arguments))
        except Exception as e:
            raise HandlerFailedError(f"the handler or its arguments cannot be pickled for a process: {e}") from e
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
            raise RuntimeError("the worker has stopped: it starts no more processes")
        if self._processes is None or not self._processes.active:
            # Forking this process would copy its event loop, threads and connection.
            start = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
            self._processes = ProcessPool(
                max_workers=self._most_processes,
                context=multiprocessing.get_context(start),  # pyright: ignore[reportArgumentType] - as on Windows
                initializer=_begin_process,
            )
        return self._processes

    async def close(self) -> None:
        """Accept no more calls and stop the processes. Threads cannot be stopped."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._processes is not None:
            self._processes.stop()
            await asyncio.to_thread(self._processes.join, STOP_S)


def _call(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    try:
        return function(**arguments)
    except StopIteration as e:
        # A future rejects StopIteration, so its awaiter would never wake up.
        raise RuntimeError("the handler raised StopIteration: give next() a default, or catch it") from e
    finally:
        forks.leave_if_forked(f"the handler {getattr(function, '__qualname__', function)!s}")


def _call_there(call: bytes) -> bytes:
    """Call a function in this process and return its result or exception, pickled.

    An answer that cannot be pickled or unpickled, such as some exceptions with a constructor of their own, would break
    the pool.
    """
    try:
        function, arguments = pickle.loads(call)  # noqa: S301 - from the worker
        return pickle.dumps((True, _call(function, arguments)))
    except BaseException as e:
        return _readable(e)


def _readable(error: BaseException) -> bytes:
    note = f"in its process:\n{''.join(traceback.format_exception(error))}"
    if isinstance(error, Exception | SystemExit):
        with suppress(Exception):  # pickling runs code of the class
            error.add_note(note)
            answer = pickle.dumps((False, error))
            pickle.loads(answer)  # noqa: S301 - pickled a line above
            return answer
    name, text = type(error).__name__, error_text(error)
    failed = HandlerFailedError(text if text.startswith(name) else f"{name}: {text}")
    failed.add_note(note)
    return pickle.dumps((False, failed))


def _begin_process() -> None:
    """Ignore Ctrl-C, which the terminal sends to every process, and end when the worker ends."""
    forks.begin()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_worker, name="end with the worker", daemon=True).start()


def _end_with_worker() -> None:
    """Wait until the worker ends, then end this process. A killed worker cannot end it itself."""
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
