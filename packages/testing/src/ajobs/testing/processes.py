"""Run the programs of ajobs as processes and wait for what they log."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path


class WorkerProcess:
    """A running program, and the lines that it has logged so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self.log: list[str] = []
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        stderr = self._process.stderr
        if stderr is None:
            raise ValueError("the process has no pipe for stderr")
        async for line in stderr:
            self._lines.put_nowait(line.decode())
        self._lines.put_nowait(None)

    async def wait_log(self, text: str) -> str:
        """Wait for a log line that contains a text, and return it.

        Raises:
            AssertionError: The program ended first; the text has its log.
            TimeoutError: No such line within 60 s.
        """
        async with asyncio.timeout(60):
            while True:
                line = await self._lines.get()
                if line is None:
                    self._lines.put_nowait(None)
                    raise AssertionError(f"the program ended without logging {text!r}:\n{''.join(self.log)}")
                self.log.append(line)
                if text in line:
                    return line

    def signal(self, number: int) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait for the end and return the exit status."""
        async with asyncio.timeout(60):
            code = await self._process.wait()
            await self._reader
        while (line := await self._lines.get()) is not None:
            self.log.append(line)
        self._lines.put_nowait(None)
        return code

    async def kill(self) -> None:
        """Kill the process if it still runs."""
        if self._process.returncode is None:
            self._process.kill()
        await self.ended()


def worker_process(
    *arguments: str, cwd: Path | None = None, **environment: str
) -> AbstractAsyncContextManager[WorkerProcess]:
    """Run ``ajobs-worker`` until the end of the block."""
    return program("ajobs.worker.process.main", *arguments, cwd=cwd, **environment)


@asynccontextmanager
async def program(
    module: str, *arguments: str, cwd: Path | None = None, **environment: str
) -> AsyncGenerator[WorkerProcess]:
    """Run ``python -m MODULE`` until the end of the block, with additional environment variables."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, cwd=cwd,
        env=os.environ | environment, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    worker = WorkerProcess(process)
    try:
        yield worker
    finally:
        await worker.kill()


async def wait_gone(pid: int) -> None:
    """Wait until a process that is not a child of this one has ended. A zombie counts as ended."""
    status = Path(f"/proc/{pid}/stat")
    async with asyncio.timeout(30):
        while await asyncio.to_thread(_lives, status):
            await asyncio.sleep(0.01)


def _lives(status: Path) -> bool:
    try:
        return status.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
