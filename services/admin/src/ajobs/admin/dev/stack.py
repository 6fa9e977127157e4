"""The services and a nats-server on this machine, as processes that end with the block that started them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from ajobs.admin.dev.processes import Echo, ServiceProcess
from ajobs.protocol.subjects import DEFAULT_QUEUE
from ajobs.testing.nats_server import NatsServer


class LocalStack:
    """A running server and the processes of the services that use it."""

    def __init__(self, server: NatsServer, echo: Echo | None) -> None:
        """Use a running server. See `run`."""
        self.server = server
        self.processes: list[ServiceProcess] = []
        self._echo = echo

    @classmethod
    @asynccontextmanager
    async def on(cls, server: NatsServer, *, echo: Echo | None = None) -> AsyncGenerator[LocalStack]:
        """Run processes next to a server while the block runs. Start them with the methods below.

        Args:
            server: The server, which must outlive the block.
            echo: Receives each line of a log.
        """
        stack = cls(server, echo)
        try:
            yield stack
        finally:
            await asyncio.gather(*(process.stop() for process in stack.processes))

    @classmethod
    @asynccontextmanager
    async def run(
        cls,
        router: str,
        *,
        queue: str,
        concurrency: int = 10,
        config: str = "",
        worker_options: tuple[str, ...] = (),
    ) -> AsyncGenerator[LocalStack]:
        """Run a server with a temporary store, and a worker, while the block runs.

        Args:
            router: Where the handlers are: ``package.module:name``.
            queue: The queue to work on.
            concurrency: How many tasks the worker runs at once.
            config: More of the server's configuration.
            worker_options: More options of the command ``ajobs-worker``.
        """
        async with NatsServer.run(config=config) as server, cls.on(server) as stack:
            stack.start_worker([router, "--queue", queue, "--concurrency", str(concurrency), *worker_options])
            yield stack

    def start_worker(self, arguments: Sequence[str]) -> ServiceProcess:
        """Start ``ajobs-worker`` with these arguments."""
        number = sum(process.name.startswith("worker") for process in self.processes) + 1
        return self._start(f"worker-{number}", "ajobs.worker.process.main", [*arguments], "worker ready")

    def start_scheduler(self) -> ServiceProcess:
        """Start ``ajobs-scheduler``."""
        return self._start("scheduler", "ajobs.scheduler.main", ["--log-level", "info"], "scheduler ready")

    def start_api(self, port: int, *, queue: str = DEFAULT_QUEUE) -> ServiceProcess:
        """Start the HTTP API, ``ajc server run``, on a port of the loopback address; 0: any free port."""
        arguments = ["server", "run", "--listen", f"127.0.0.1:{port}", "--queue", queue, "--log-level", "info"]
        return self._start("api", "ajobs.admin.cli.main", arguments, "server ready: ")

    def _start(self, name: str, module: str, arguments: list[str], ready: str) -> ServiceProcess:
        process = ServiceProcess.start(name, module, arguments, url=self.server.url, ready=ready, echo=self._echo)
        self.processes.append(process)
        return process

    def check(self) -> None:
        """Make sure that the server and all processes are still running.

        Raises:
            UnavailableError: One ended. The text contains the end of its log.
        """
        self.server.check()
        for process in self.processes:
            process.check()


def free_port(wanted: int) -> int:
    """Return a port of the loopback address if it is free, else 0, for any free port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
    return wanted
