"""Installs a system into its own environment, and runs its server, its producer and its workers."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from ajobs.testing.nats_server import NatsServer
from benchmarks.peers.catalogue import System

SCRIPTS = Path(__file__).parent / "systems"
ENVIRONMENTS = Path(".bench")
REDIS = "redis-server"
INSTALL_REDIS = f"{REDIS} is not installed: run apt-get install redis-server"
START_S = 10.0
POLL_S = 0.05
INSTALL_S = 300


class CannotMeasureError(Exception):
    """A measurement of a system failed."""


class Snapshot(msgspec.Struct):
    """The progress of a worker process; see ``systems/clock.py``."""

    count: int
    first: float
    last: float
    cpu_s: float
    peak_mib: float


def has_redis() -> bool:
    """Return whether a Redis server is installed."""
    return shutil.which(REDIS) is not None


def binaries(system: System) -> Path:
    """Install a system unless it is installed, and return the folder of its programs.

    Raises:
        CannotMeasureError: The installation failed.
    """
    if not system.requirements:
        return Path(sys.executable).parent
    folder = ENVIRONMENTS.absolute() / system.script
    stamp = folder / "installed.txt"
    wanted = "\n".join(system.requirements)
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        try:
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=INSTALL_S)
            subprocess.run([*pip, *system.requirements], check=True, timeout=INSTALL_S)
        except (OSError, subprocess.SubprocessError) as e:
            raise CannotMeasureError(f"cannot install: {e}") from e
        stamp.write_text(wanted, encoding="utf-8")
    return folder / "bin"


@asynccontextmanager
async def server_of(system: System) -> AsyncGenerator[str]:
    """Run the server of a system with an empty store, and yield its URL."""
    if system.server == "nats":
        async with NatsServer.run() as server:
            yield server.url
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            REDIS, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", folder,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with asyncio.timeout(START_S):
                while not await _listens(port):
                    await asyncio.sleep(0.01)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _environment(system: System, url: str, settings: dict[str, Any]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BENCH_")}
    ours = {f"BENCH_{name}": str(value) for name, value in settings.items()}
    return kept | {"BENCH_URL": url, "PYTHONPATH": str(SCRIPTS)} | dict(system.environment) | ours


async def produce(system: System, url: str, what: str, patience_s: float, **settings: Any) -> dict[str, Any]:
    """Run the producer and return what it reports.

    Raises:
        CannotMeasureError: The producer failed, or did not finish in time.
    """
    process = await asyncio.create_subprocess_exec(
        str(binaries(system) / "python"), str(SCRIPTS / f"{system.script}.py"), what,
        env=_environment(system, url, settings), cwd=SCRIPTS, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(patience_s):
            output, errors = await process.communicate()
    except TimeoutError:
        raise CannotMeasureError(f"producer ({what}) did not finish within {patience_s:.0f} s") from None
    finally:
        await _kill(process)
    if process.returncode:
        raise CannotMeasureError(f"producer ({what}) failed: {_end(errors)}")
    return json.loads(output.decode().splitlines()[-1])


class Workers:
    """Worker processes of a system."""

    def __init__(self, folder: Path, processes: list[asyncio.subprocess.Process]) -> None:
        """Read the files that the processes write into ``folder``."""
        self._folder = folder
        self._processes = processes

    def snapshots(self) -> list[Snapshot]:
        """Return the progress of each process that has handled a task."""
        files = self._folder.glob("clock.*.json")
        return [msgspec.json.decode(file.read_bytes(), type=Snapshot) for file in files]

    async def reach(self, count: int, patience_s: float, longest_s: float = 0) -> list[Snapshot]:
        """Wait until ``count`` tasks are handled, or until ``longest_s`` after the first, and return the progress.

        Raises:
            CannotMeasureError: A worker ended, or made no progress for ``patience_s``.
        """
        done, moved = 0, time.monotonic()
        while True:
            snapshots = self.snapshots()
            now = sum(each.count for each in snapshots)
            if now > done:
                done, moved = now, time.monotonic()
            if done >= count or (longest_s and done and time.time() - min(s.first for s in snapshots) > longest_s):
                return snapshots
            if any(process.returncode is not None for process in self._processes):
                raise CannotMeasureError(f"worker ended: {self.log()}")
            if time.monotonic() - moved > patience_s:
                raise CannotMeasureError(f"worker stopped at {done} of {count} tasks: {self.log()}")
            await asyncio.sleep(POLL_S)

    async def latencies(self, patience_s: float) -> list[float]:
        """Return the seconds from enqueuing to start of each task whose payload is its send time.

        Raises:
            CannotMeasureError: A worker did not write its latencies.
        """
        expected = len(self.snapshots())
        (self._folder / "clock.wanted").touch()
        give_up = time.monotonic() + patience_s
        while len(files := list(self._folder.glob("clock.*.latencies"))) < expected:
            if time.monotonic() > give_up:
                raise CannotMeasureError("worker did not report its latencies")
            await asyncio.sleep(POLL_S)
        return [each for file in files for each in json.loads(file.read_bytes())]

    def log(self) -> str:
        """Return the last lines of the workers' output."""
        return " / ".join(_end(file.read_bytes()) for file in self._folder.glob("worker.*.log"))


@asynccontextmanager
async def working(
    system: System, url: str, *, slots: int, processes: int = 1, **settings: Any
) -> AsyncGenerator[Workers]:
    """Run workers while the block runs, then kill them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program, *arguments = (part.format(slots=slots, url=url) for part in system.worker)
        variables = {"RESULT": folder / "clock", "SLOTS": slots} | settings
        started: list[asyncio.subprocess.Process] = []
        try:
            for number in range(processes):
                with (folder / f"worker.{number}.log").open("wb") as output:
                    process = await asyncio.create_subprocess_exec(
                        str(binaries(system) / program), *arguments, env=_environment(system, url, variables),
                        cwd=SCRIPTS, stdout=output, stderr=output, start_new_session=True,
                    )  # fmt: skip
                started.append(process)
            yield Workers(folder, started)
        finally:
            for process in started:
                await _kill(process)


async def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill a process that we started, and its children, which share its process group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _end(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return " ".join(lines[-2:])[-300:] or "no output"
