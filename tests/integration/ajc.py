"""The command ``ajc`` as a process, for tests: piped, or on a terminal."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import pty
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tests.integration.processes import ROOT

COMMAND = (sys.executable, "-m", "asyncjobs.admin.cli.main")
SPAN_S = 60


class Ran(NamedTuple):
    """What a command ended with and printed."""

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
        """The one line that a command that went well printed."""
        assert self.status == 0, self.err
        assert self.out.count("\n") == 1, self.out
        return self.out.strip()

    @property
    def complaint(self) -> str:
        """The one line that it complained with."""
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
        """Run a command on a terminal of 120 columns, and return all that it showed as the output."""
        ours, theirs = pty.openpty()
        try:
            os.write(ours, typed.encode())
            environment = {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40", **environment}
            process = await asyncio.create_subprocess_exec(
                *COMMAND, *arguments, cwd=self.cwd, stdin=theirs, stdout=theirs, stderr=theirs,
                env=os.environ | self.environment | environment,
            )  # fmt: skip
            os.close(theirs)
            async with asyncio.timeout(SPAN_S):
                shown = await asyncio.to_thread(_read_all, ours)
                status = await process.wait()
        finally:
            os.close(ours)
        return Ran(status, shown.decode().replace("\r\n", "\n"), "")


def _read_all(terminal: int) -> bytes:
    parts = []
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # what Linux says when nobody has the other end any more
            part = b""
        if not part:
            return b"".join(parts)
        parts.append(part)


def plain(text: str) -> str:
    """Return what a terminal shows, without what colours it."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
