"""A nats-server and workers on this machine, as processes that end with the block that started them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from asyncjobs.admin.dev.nats_server import NatsServer
from asyncjobs.protocol.errors import UnavailableError

STOP_S = 30.0
"""Seconds that a worker may take to end before it is killed; more than its grace period."""
LOG_LINES = 20


class WorkerProcess:
    """One ``asyncjobs-worker`` process."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path | None) -> None:
        """Take over a started process, and the file that it logs to, if it does."""
        self._process = process
        self._log = log

    @classmethod
    def start(cls, arguments: list[str], *, environment: dict[str, str], log: Path | None) -> WorkerProcess:
        """Start a worker with the command's arguments, logging to a file or to where we do."""
        command = [sys.executable, "-m", "asyncjobs.worker.main", *arguments]
        output = None if log is None else log.open("wb")
        try:
            # A group of its own: an interrupt from the keyboard is for us, and we end the worker properly.
            process = subprocess.Popen(  # noqa: S603 - the command is ours
                command, env=os.environ | environment, stdin=subprocess.DEVNULL, stderr=output, process_group=0
            )
        finally:
            if output is not None:
                output.close()
        return cls(process, log)

    def check(self) -> None:
        """Make sure that it still runs.

        Raises:
            UnavailableError: It ended; the text has the end of its log.
        """
        code = self._process.poll()
        if code is None:
            return
        end = "" if self._log is None else "\n".join(self._log.read_text(errors="replace").splitlines()[-LOG_LINES:])
        msg = f"a worker ended with exit code {code}; the end of its log:\n{end}"
        raise UnavailableError(msg)

    async def stop(self) -> None:
        """End it properly, and return once it has ended."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self._process.wait, STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class LocalStack:
    """A running server and its workers."""

    def __init__(self, server: NatsServer, workers: list[WorkerProcess]) -> None:
        """Take what was started. See `run`."""
        self.server = server
        self.workers = workers

    @classmethod
    @asynccontextmanager
    async def run(  # noqa: PLR0913 - what there is to choose
        cls,
        router: str,
        *,
        queue: str,
        concurrency: int = 10,
        workers: int = 1,
        port: int = 0,
        config: str = "",
        worker_options: tuple[str, ...] = (),
        logs: Path | None = None,
    ) -> AsyncGenerator[LocalStack]:
        """Run a server with a temporary store, and workers, for as long as the block does.

        Args:
            router: Where the handlers are: ``package.module:name``.
            queue: The queue to work on.
            concurrency: How many tasks each worker runs at once.
            workers: How many worker processes.
            port: The server's port; 0: any that is free.
            config: More of the server's configuration.
            worker_options: More options of the command ``asyncjobs-worker``.
            logs: A folder for the workers' logs; without it they log to where we do.
        """
        async with NatsServer.run(port=port, config=config) as server:
            started: list[WorkerProcess] = []
            try:
                for number in range(workers):
                    arguments = [router, "--queue", queue, "--concurrency", str(concurrency), "--server", server.url]
                    arguments += worker_options
                    log = None if logs is None else logs / f"worker-{number}.log"
                    started.append(WorkerProcess.start(arguments, environment={}, log=log))
                yield cls(server, started)
            finally:
                await asyncio.gather(*(worker.stop() for worker in started))

    def check(self) -> None:
        """Make sure that all workers still run.

        Raises:
            UnavailableError: One ended; the text has the end of its log.
        """
        for worker in self.workers:
            worker.check()
