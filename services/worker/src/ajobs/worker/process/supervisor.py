"""Several worker processes on one host, and their restarts.

The supervisor runs the same command in each process. It restarts a process that ends unexpectedly, after a delay that
grows while restarts fail, and passes SIGTERM and SIGINT on. A process notices the death of its supervisor by the end of
a pipe, and stops as on a signal. In development, the supervisor restarts all processes when code changes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ajobs.protocol.errors import ConfigurationError

NUMBER = "AJ_SUPERVISED_NUMBER"
"""Environment variable with the number of a process, from 0."""
PIPE = "AJ_SUPERVISED_PIPE"
"""Environment variable with the file descriptor of the pipe that ends with the supervisor."""

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
STABLE_S = 30.0
"""Seconds after which a process counts as working, so that its next restart is quick."""
KILL_S = 10.0
"""Seconds after the grace period until a process is killed."""
BAD_USAGE = 2
"""The exit status of a process whose command line or configuration is invalid."""

logger = logging.getLogger("ajobs.supervisor")


class Supervisor:
    """Keeps processes running until a signal stops it."""

    def __init__(self, arguments: Sequence[str], *, processes: int, grace_s: float) -> None:
        """Run ``ajobs-worker`` with ``arguments`` in ``processes`` processes."""
        self._command = [sys.executable, "-m", "ajobs.worker.process.main", *arguments]
        self._processes = processes
        self._grace_s = grace_s
        self._stopping = asyncio.Event()
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._restarts: set[int] = set()
        self._watches = False
        self._changed = asyncio.Event()
        self._status = 0

    async def run(self, changes: Callable[[], AsyncGenerator[str]] | None = None) -> int:
        """Run until a signal; return the exit status. Restart all processes at each of the ``changes``."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        watching = None if changes is None else asyncio.create_task(self._watch(changes()), name="watch the code")
        self._watches = watching is not None
        read_end, write_end = os.pipe()
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._processes):
                    group.create_task(self._keep(number, read_end))
        finally:
            if watching is not None:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            os.close(write_end)
            os.close(read_end)
            for signal_number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(signal_number)
        return self._status

    def _stop(self, number: signal.Signals) -> None:
        logger.info("stopping %d processes on %s", len(self._running), number.name)
        self._stopping.set()
        for process in self._running.values():
            _signal(process, signal.SIGTERM)

    async def _keep(self, number: int, pipe: int) -> None:
        """Run one process, and restart it whenever it ends."""
        delay_s = FIRST_DELAY_S
        while not self._stopping.is_set():
            began = time.monotonic()
            status = await self._once(number, pipe)
            if self._stopping.is_set():
                break
            if number in self._restarts:
                self._restarts.discard(number)
                continue
            if status == BAD_USAGE:
                # A restart cannot help. In development, the next change of the code may.
                if self._watches:
                    logger.warning(
                        "process %d has an invalid command line or configuration: waiting for the code to change",
                        number,
                    )
                    await self._pause(None)
                    continue
                self._status = status
                self._stop(signal.SIGTERM)
                break
            if time.monotonic() - began > STABLE_S:
                delay_s = FIRST_DELAY_S
            logger.warning("process %d ended with status %s, restarting it in %.1f s", number, status, delay_s)
            await self._pause(delay_s)
            delay_s = min(2 * delay_s, LONGEST_DELAY_S)

    async def _pause(self, seconds: float | None) -> None:
        """Wait for a time, or until a stop or a change of the code."""
        waits = [asyncio.create_task(event.wait()) for event in (self._stopping, self._changed)]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _once(self, number: int, pipe: int) -> int:
        environment = os.environ | {NUMBER: str(number), PIPE: str(pipe)}
        # A process group of its own: Ctrl-C reaches only the supervisor, which passes it on once.
        process = await asyncio.create_subprocess_exec(
            *self._command, env=environment, pass_fds=(pipe,), process_group=0
        )
        self._running[number] = process
        logger.info("process %d started with process ID %d", number, process.pid)
        if self._stopping.is_set():
            _signal(process, signal.SIGTERM)
        try:
            return await self._ended(process)
        finally:
            del self._running[number]

    async def _ended(self, process: asyncio.subprocess.Process) -> int:
        waiting = asyncio.create_task(process.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                await asyncio.wait({waiting}, timeout=self._grace_s + KILL_S)
            if not waiting.done():
                logger.error("process ID %d did not stop in time: killing it", process.pid)
                _signal(process, signal.SIGKILL)
            return await waiting
        finally:
            stopping.cancel()
            await asyncio.gather(stopping, return_exceptions=True)

    async def _watch(self, changes: AsyncGenerator[str]) -> None:
        try:
            async for change in changes:
                logger.info("%s changed: restarting", change)
                for number, process in self._running.items():
                    self._restarts.add(number)
                    _signal(process, signal.SIGTERM)
                # Wake up those that wait now. Later waits are for the next change.
                self._changed.set()
                self._changed.clear()
        except Exception:
            logger.exception("cannot watch the code anymore: restart the worker to watch it again")


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(number)


def code_changes(folder: Path) -> AsyncGenerator[str]:
    """Yield a path at each change of Python code or configuration below a folder.

    Raises:
        ConfigurationError: watchfiles is not installed.
    """
    try:
        import watchfiles  # optional, for development
    except ImportError as e:
        raise ConfigurationError("--watch needs watchfiles: pip install 'ajobs-worker[watch]'") from e

    async def changes() -> AsyncGenerator[str]:
        async for changed in watchfiles.awatch(folder, watch_filter=_is_code):  # pyright: ignore[reportUnknownMemberType]
            yield min(path for _, path in changed)

    return changes()


def _is_code(_change: Any, path: str) -> bool:
    hidden = any(part.startswith(".") or part == "__pycache__" for part in Path(path).parts[1:-1])
    return path.endswith((".py", ".yaml", ".yml")) and not hidden


def supervised_number() -> int | None:
    """Return the number of this process, or ``None`` if it has no supervisor."""
    number = os.environ.get(NUMBER)
    return None if number is None else int(number)


def on_orphaned(callback: Callable[[], None]) -> None:
    """Call ``callback`` when the supervisor of this process ends, if it has one."""
    pipe = os.environ.pop(PIPE, None)
    os.environ.pop(NUMBER, None)
    if pipe is None:
        return
    loop = asyncio.get_running_loop()
    descriptor = int(pipe)

    def ended() -> None:
        loop.remove_reader(descriptor)
        callback()

    loop.add_reader(descriptor, ended)
