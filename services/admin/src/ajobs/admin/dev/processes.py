"""Services as child processes, with the end of their logs."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from ajobs.client.nats.environment import CONTEXT_VARIABLES
from ajobs.protocol.errors import UnavailableError

STOP_S = 30.0
"""Seconds after which a process that does not stop is killed; more than the grace period of a worker."""
READY_S = 60.0
"""Seconds after which a process that is not ready counts as failed."""
REST_S = 1.0
"""Seconds to wait for the rest of the log of a process that ended."""
LOG_LINES = 20

_ONLY_ONE = frozenset({"AJ_NATS_URL", "AJ_ROUTER", "AJ_CONFIG", "AJ_NAME", "AJ_MONITOR", "AJC_MONITOR"})

Echo = Callable[[str, str], None]
"""Receives the name of a process and a line of its log."""


def environment_for(url: str) -> dict[str, str]:
    """Return the variables that make a program connect to this server only."""
    kept = {name: value for name, value in os.environ.items() if not _is_for_others(name)}
    return kept | {"NATS_URL": url}


def _is_for_others(name: str) -> bool:
    """Return whether a variable selects a server, or a resource that only one process can have."""
    return name in CONTEXT_VARIABLES or name in _ONLY_ONE or name.startswith("NATS_")


class ServiceProcess:
    """One child process. Call `stop` in every case."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], ready: str, echo: Echo | None) -> None:
        """Take over a started process. See `start`."""
        self.name = name
        self._process = process
        self._ready_text = ready
        self._echo = echo
        self._latest: deque[str] = deque(maxlen=LOG_LINES)
        self._ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read(), name=f"read what {name} logs")
        self._was_seen_ended = False

    @classmethod
    def start(
        cls, name: str, module: str, arguments: list[str], *, url: str, ready: str, echo: Echo | None = None
    ) -> ServiceProcess:
        """Start a module that logs to standard error.

        Args:
            name: Name for its output.
            module: The module to run.
            arguments: Its arguments.
            url: The NATS server for it.
            ready: Part of the line that it logs once it is ready.
            echo: Receives each line of its log.
        """
        # Its own process group: Ctrl-C reaches only this process, which stops the others in order.
        process = subprocess.Popen(  # noqa: S603 - a fixed command
            [sys.executable, "-m", module, *arguments],
            env=environment_for(url),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            process_group=0,
        )
        return cls(name, process, ready, echo)

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), self._process.stderr)
        begun = b""
        try:
            while data := await reader.read(65_536):
                *lines, begun = (begun + data).split(b"\n")
                for line in lines:
                    self._take(line)
        finally:
            if begun:
                self._take(begun)
            transport.close()

    def _take(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        self._latest.append(text)
        if self._echo is not None:
            self._echo(self.name, text)
        if self._ready_text in text and not self._ready.done():
            self._ready.set_result(text)

    async def ready(self) -> str:
        """Wait until it is ready, and return the line that reports it.

        Raises:
            UnavailableError: It ended or took too long. The text contains the end of its log.
        """
        try:
            async with asyncio.timeout(READY_S):
                await asyncio.wait({self._ready, self._reading}, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise UnavailableError(f"{self.name} is not ready after {READY_S:g} s{self._end_of_log()}") from None
        if not self._ready.done():
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.wait, REST_S)
            raise self._ended()
        return self._ready.result()

    def check(self) -> None:
        """Make sure that it is still running.

        Raises:
            UnavailableError: It ended. The text contains the end of its log.
        """
        if self._process.poll() is None:
            return
        # A child that it left behind may keep its log open, so the rest is awaited for one more check only.
        if self._reading.done() or self._was_seen_ended:
            raise self._ended()
        self._was_seen_ended = True

    def _ended(self) -> UnavailableError:
        return UnavailableError(f"{self.name} ended with exit code {self._process.poll()}{self._end_of_log()}")

    def _end_of_log(self) -> str:
        return "; the end of its log:\n" + "\n".join(self._latest) if self._latest else "; it logged nothing"

    async def stop(self) -> None:
        """Stop it, and return once it has ended."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self._process.wait, STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        await asyncio.wait({self._reading}, timeout=REST_S)
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._ready.cancel()
