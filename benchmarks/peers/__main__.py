"""Ours beside the peers on this machine: ``make bench-peers``.

Each system is installed into an environment of its own, gets a fresh server of its own for every measurement, and does
the same: enqueue small tasks from one process (64 callers, and in bulk where it can), and run no-op handlers in one
worker process with 32 and with 128 slots. The systems take turns, several times; shown are the medians, how far they
spread, and the ratio to ours. The report is written to ``benchmarks/results/peers.md`` and ``peers.json``.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from asyncjobs.admin.dev.nats_server import NatsServer
from benchmarks.peers.catalogue import OURS, SYSTEMS, System

HERE = Path(__file__).parent
SCRIPTS = HERE / "systems"
RESULTS = HERE.parent / "results"
ENVIRONMENTS = Path(".bench")
TASKS = int(os.environ.get("BENCH_TASKS", "10000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SLOTS = (32, 128)
PATIENCE_S = 90
REDIS = "redis-server"

Measured = dict[str, float]
console = Console()


def binaries(system: System) -> Path:
    """Install a system if it is not yet, and return the folder of its programs."""
    if not system.requirements:
        return Path(sys.executable).parent
    folder = ENVIRONMENTS.absolute() / system.script
    stamp = folder / "installed.txt"
    wanted = "\n".join(system.requirements)
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        console.print(f"installing {', '.join(system.requirements)}", style="dim")
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *system.requirements], check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return folder / "bin"


@asynccontextmanager
async def server_of(system: System) -> AsyncGenerator[str]:
    """Run the server that a system needs, with an empty store; yields its URL."""
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
            while not await listens(port):  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.01)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            await process.wait()


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def environment(system: System, url: str, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BENCH_")}
    return kept | {"BENCH_URL": url, "PYTHONPATH": str(SCRIPTS)} | dict(system.environment) | more


async def produce(system: System, url: str, how: str) -> float:
    """Enqueue all tasks and return the seconds that it took."""
    python = str(binaries(system) / "python")
    process = await asyncio.create_subprocess_exec(
        python, str(SCRIPTS / f"{system.script}.py"), how,
        env=environment(system, url, BENCH_COUNT=str(TASKS)), cwd=SCRIPTS,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(PATIENCE_S):
        output, errors = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{system.name} could not enqueue: {errors.decode()[-800:]}")
    return json.loads(output.decode().splitlines()[-1])["seconds"]


async def work(system: System, url: str, slots: int) -> float:
    """Run one worker until all tasks are handled, and return the seconds from the first to the last."""
    with tempfile.TemporaryDirectory() as folder:
        result, log = Path(folder) / "seconds.json", Path(folder) / "worker.log"
        program, *arguments = (part.format(slots=slots, url=url) for part in system.worker)
        more = {"BENCH_TASKS": str(TASKS), "BENCH_RESULT": str(result), "BENCH_SLOTS": str(slots)}
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                str(binaries(system) / program), *arguments, env=environment(system, url, **more), cwd=SCRIPTS,
                stdout=output, stderr=output, process_group=0,
            )  # fmt: skip
        try:
            end = time.monotonic() + PATIENCE_S
            while not result.exists():
                if process.returncode is not None or time.monotonic() > end:
                    raise RuntimeError(f"{system.name} did not finish: {log.read_text(errors='replace')[-800:]}")
                await asyncio.sleep(0.05)
            return json.loads(result.read_text(encoding="ascii"))["seconds"]
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def measure(system: System) -> Measured:
    """Return tasks a second, by what was measured."""
    found: Measured = {}
    for slots in SLOTS:
        async with server_of(system) as url:
            found["enqueue"] = TASKS / await produce(system, url, "one")
            found[f"process, {slots} slots"] = TASKS / await work(system, url, slots)
    if system.has_bulk:
        async with server_of(system) as url:
            found["bulk enqueue"] = TASKS / await produce(system, url, "bulk")
    return found


def report(rounds: list[dict[str, Measured]]) -> str:
    """Return the report as Markdown, and show it."""
    kinds = ("enqueue", "bulk enqueue", *(f"process, {slots} slots" for slots in SLOTS))
    lines = [
        "# Beside the peers",
        "",
        f"{TASKS:,} small tasks, medians of {len(rounds)} rounds in turn, one producer and one worker process, on",
        f"{os.cpu_count()} cores, {platform.machine()}, Linux, Python {platform.python_version()}. Tasks a second, and",
        "in brackets the ratio of ours to theirs in the same round (lowest to highest).",
        "",
        "| | " + " | ".join(kinds) + " | what it keeps |",
        "|---|" + "---|" * (len(kinds) + 1),
    ]
    table = Table("tasks/s", *kinds)
    for system in SYSTEMS:
        cells: list[str] = []
        for kind in kinds:
            pairs = [
                (each[OURS][kind], each[system.name][kind])
                for each in rounds
                if kind in each.get(system.name, {}) and kind in each.get(OURS, {})
            ]
            if not pairs:
                cells.append("")
                continue
            ratios = sorted(ours / theirs for ours, theirs in pairs)
            rate = f"{statistics.median(theirs for _, theirs in pairs):,.0f}"
            spread = f" ({statistics.median(ratios):.2f}x, {ratios[0]:.2f} to {ratios[-1]:.2f})"
            cells.append(rate if system.name == OURS else rate + spread)
        if any(cells):
            table.add_row(system.name, *cells)
            version = ", ".join(each for each in system.requirements if "==" in each) or "this repository"
            lines.append(f"| {system.name} | {' | '.join(cells)} | {system.notes} ({version}) |")
    console.print(table)
    return "\n".join(lines) + "\n"


async def main() -> None:
    systems = [each for each in SYSTEMS if len(sys.argv) < 2 or each.script in sys.argv[1:] or each.name == OURS]
    if shutil.which(REDIS) is None:
        console.print(f"{REDIS} is not installed, so what needs Redis is left out: apt-get install redis-server")
        systems = [system for system in systems if system.server != "redis"]
    for system in systems:
        binaries(system)
    rounds: list[dict[str, Measured]] = []
    for number in range(ROUNDS):
        measured: dict[str, Measured] = {}
        for system in systems:
            console.print(f"round {number + 1} of {ROUNDS}: {system.name}", style="dim")
            try:
                measured[system.name] = await measure(system)
            except (RuntimeError, TimeoutError) as e:
                console.print(f"[red]{system.name}: {e!r}[/]")
        rounds.append(measured)
    text = report(rounds)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "peers.md").write_text(text, encoding="utf-8")
    (RESULTS / "peers.json").write_text(json.dumps(rounds, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
