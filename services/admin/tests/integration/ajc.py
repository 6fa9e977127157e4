"""The command ``ajc`` as a process, for tests: piped, or on a terminal."""

from __future__ import annotations

import asyncio
import csv
import fcntl
import io
import os
import pty
import re
import sys
import termios
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tests import ROOT

COMMAND = (sys.executable, "-m", "ajobs.admin.cli.main")
SPAN_S = 60


class Ran(NamedTuple):
    """The exit status and output of a command."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.status == 0, self.err
        return msgspec.json.decode(self.out)

    @property
    def csv(self) -> list[dict[str, str]]:
        assert self.status == 0, self.err
        return list(csv.DictReader(io.StringIO(self.out)))

    @property
    def line(self) -> str:
        """The one line that a successful command printed."""
        assert self.status == 0, self.err
        assert self.out.count("\n") == 1, self.out
        return self.out.strip()

    @property
    def complaint(self) -> str:
        """The one line of its error."""
        assert self.err.startswith("ajc: "), self.err
        assert self.err.count("\n") == 1, self.err
        return self.err.strip()


class Ajc:
    """Runs commands against a server."""

    def __init__(self, url: str, cwd: Path = ROOT) -> None:
        self.environment = {"NATS_URL": url}
        self.cwd = cwd

    async def __call__(self, *arguments: str, stdin: bytes = b"", **environment: str) -> Ran:
        async with self.running(*arguments, **environment) as process, asyncio.timeout(SPAN_S):
            out, err = await process.communicate(stdin)
        return Ran(process.returncode, out.decode(), err.decode())

    @asynccontextmanager
    async def running(self, *arguments: str, **environment: str) -> AsyncGenerator[asyncio.subprocess.Process]:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *COMMAND, *arguments, cwd=self.cwd, stdin=pipe, stdout=pipe, stderr=pipe,
            env=os.environ | self.environment | environment,
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()

    async def on_terminal(self, *arguments: str, typed: str = "", **environment: str) -> Ran:
        """Run a command on a terminal of 120 columns, and return everything that it showed as the output."""
        async with self._terminal(*arguments, **environment) as (process, terminal), asyncio.timeout(SPAN_S):
            os.write(terminal, typed.encode())
            shown = await asyncio.to_thread(_read_until, terminal, None)
            status = await process.wait()
        return Ran(status, shown.decode().replace("\r\n", "\n"), "")

    async def until_shown(self, *arguments: str, text: str, press: bytes) -> int:
        """Run a command on a terminal until it shows a text, press keys then, and return its status."""
        async with self._terminal(*arguments) as (process, terminal), asyncio.timeout(SPAN_S):
            shown = await asyncio.to_thread(_read_until, terminal, text.encode())
            assert text.encode() in shown
            os.write(terminal, press)
            await asyncio.to_thread(_read_until, terminal, None)
            return await process.wait()

    @asynccontextmanager
    async def _terminal(
        self, *arguments: str, **environment: str
    ) -> AsyncGenerator[tuple[asyncio.subprocess.Process, int]]:
        ours, theirs = pty.openpty()
        environment = {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40", **environment}
        process = await asyncio.create_subprocess_exec(
            *COMMAND, *arguments, cwd=self.cwd, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            preexec_fn=_take_terminal, env=os.environ | self.environment | environment,
        )  # fmt: skip
        os.close(theirs)
        try:
            yield process, ours
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            os.close(ours)


def _take_terminal() -> None:
    """Make the terminal the one whose keys send signals to the process."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _read_until(terminal: int, text: bytes | None) -> bytes:
    """Return the output up to a text, or until the other end is closed."""
    shown = b""
    while text is None or text not in shown:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # raised by Linux once the other end is closed
            part = b""
        if not part:
            break
        shown += part
    return shown


def plain(text: str) -> str:
    """Return the output of a terminal without escape sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
