"""``ajc dev``."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ajobs.admin.cli import session
from ajobs.admin.cli.arguments import Switch
from ajobs.admin.text.printing import console, printable
from ajobs.protocol.errors import ConfigurationError, UnavailableError
from ajobs.protocol.subjects import DEFAULT_QUEUE

if TYPE_CHECKING:
    from ajobs.admin.dev.stack import LocalStack

NATS_PORT = 4222
API_PORT = 8080
LOOK_S = 0.5
"""Seconds between two checks that every process still runs."""
CONFIG = Path("asyncjobs.yaml")
STYLES = {"scheduler": "magenta", "api": "blue"}

logger = logging.getLogger("ajobs.dev")


async def dev(  # noqa: PLR0913 - each option is a parameter
    router: str | None = None,
    *,
    config: Path | None = None,
    queue: Annotated[str, Parameter(name=("--queue", "-q"), env_var="AJ_WORK_QUEUE")] = DEFAULT_QUEUE,
    concurrency: Annotated[int, Parameter(env_var="AJ_CONCURRENCY")] = 10,
    workers: int = 1,
    watch: Switch = False,
    port: int | None = None,
    api_port: int | None = None,
    no_scheduler: Switch = False,
    no_api: Switch = False,
    store: Path | None = None,
) -> int:
    """Run a local development stack until Ctrl-C.

    It has a nats-server, workers, a scheduler and the HTTP API, which listen on loopback only. If one of them ends, all
    of them are stopped.

    Parameters
    ----------
    router
        Router with the handlers, as package.module:name. Default: the handlers of asyncjobs.yaml in the working
        directory; without that file no worker runs.
    config
        Path of another asyncjobs.yaml.
    queue
        Queue to work on.
    concurrency
        Number of tasks that each worker runs concurrently.
    workers
        Number of worker processes.
    watch
        Restart the workers when code below the working directory changes.
    port
        Port of nats-server. Default: 4222 if it is free, else another one.
    api_port
        Port of the HTTP API. Default: 8080 if it is free, else another one.
    no_scheduler
        Run no scheduler.
    no_api
        Run no HTTP API.
    store
        Folder that keeps the tasks from one run to the next. Default: a temporary folder.
    """
    if find_spec("ajobs.testing") is None:
        raise ConfigurationError('ajc dev needs more packages: install them with pip install "ajobs-admin[dev]"')
    from ajobs.admin.dev.stack import LocalStack, free_port  # slow to import, and not needed for a help page
    from ajobs.admin.dev.store import kept_store
    from ajobs.runtime.program import stopped_by_signals
    from ajobs.testing.nats_server import NatsServer

    handlers = _handlers(router, config)
    if workers < 0 or concurrency < 1:
        raise ConfigurationError(
            f"invalid --workers {workers} or --concurrency {concurrency}: use 0 or more workers with 1 slot or more"
        )
    session.start_logging()
    stop = asyncio.Event()
    chosen = free_port(NATS_PORT) if port is None else port
    try:
        with stopped_by_signals(stop.set, logger), kept_store(store) as folder:
            async with NatsServer.run(port=chosen, folder=folder) as server, LocalStack.on(server, echo=_echo) as stack:
                for _ in range(workers if handlers else 0):
                    stack.start_worker(_worker_arguments(handlers, queue, concurrency, watch=watch))
                if not no_scheduler:
                    stack.start_scheduler()
                if not no_api:
                    stack.start_api(free_port(API_PORT) if api_port is None else api_port, queue=queue)
                await _stay(stack, stop, lambda lines: _show_panel(stack, lines, handlers, queue, folder))
    except UnavailableError as e:
        # The text has several lines: it ends with the log of the process.
        print(f"ajc: {e}", file=sys.stderr)  # noqa: T201 - what the user reads
        return 1
    return 0


async def _stay(stack: LocalStack, stop: asyncio.Event, show: Callable[[dict[str, str]], None]) -> None:
    """Wait until all processes are ready, show the panel, and wait for the stop. Raises if a process ends."""
    try:
        lines = await _all_ready(stack, stop)
        if lines is not None:
            show(lines)
        while not stop.is_set():
            stack.check()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await stop.wait()
    finally:
        print("stopping", file=sys.stderr)  # noqa: T201 - what the user reads


def _handlers(router: str | None, config: Path | None) -> list[str]:
    """Return the worker arguments that select the handlers; none without handlers."""
    if router is not None and config is not None:
        raise ConfigurationError("pass either ROUTER or --config, not both")
    if router is not None:
        return [router]
    if config is None and not CONFIG.exists():
        return []
    return ["--config", str(config or CONFIG)]


def _worker_arguments(handlers: list[str], queue: str, concurrency: int, *, watch: bool) -> list[str]:
    arguments = [*handlers, "--concurrency", str(concurrency), "--log-level", "info"]
    # The file may name a queue. Only an option or a variable overrides it.
    if queue != DEFAULT_QUEUE or handlers[0] != "--config":
        arguments += ["--queue", queue]
    return [*arguments, "--watch"] if watch else arguments


async def _all_ready(stack: LocalStack, stop: asyncio.Event) -> dict[str, str] | None:
    """Return the line with which each process reported that it is ready, or ``None`` if the stop came first."""

    async def wait() -> dict[str, str]:
        return {process.name: await process.ready() for process in stack.processes}

    waiting, stopping = asyncio.create_task(wait()), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return None if stop.is_set() else await waiting
    finally:
        waiting.cancel()
        stopping.cancel()
        await asyncio.gather(waiting, stopping, return_exceptions=True)


def _echo(name: str, line: str) -> None:
    from rich.text import Text

    out = console(error=True)
    out.print(Text.assemble((f"{name:<9} ", STYLES.get(name, "green")), printable(line)), soft_wrap=True)


def _show_panel(stack: LocalStack, lines: dict[str, str], handlers: list[str], queue: str, folder: Path | None) -> None:
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    url = stack.server.url
    api = lines["api"].partition("server ready: ")[2].partition(",")[0] if "api" in lines else ""
    worker = next((line.partition("worker ready: ")[2] for name, line in lines.items() if name == "worker-1"), "")
    number = sum(name.startswith("worker") for name in lines)
    workers = "worker" if number < 2 else f"{number} workers"
    parts = Table.grid(padding=(0, 2))
    for name, what in (
        ("nats", f"{url}, {'temporary store' if folder is None else f'store in {folder}'}"),
        (workers, f"{handlers[-1]}: {worker}" if worker else "none: pass a router to run handlers"),
        ("scheduler", "creates the tasks of schedules" if "scheduler" in lines else "none"),
        ("api", f"{api}/v1, documentation at {api}/docs" if api else "none"),
    ):
        parts.add_row(Text(name, style="bold"), Text(what, overflow="fold"))
    to_type = [f"export NATS_URL={url}", f"ajc tasks add TYPE PAYLOAD --queue {queue}", "ajc tasks list", "ajc top"]
    to_type += [f"curl {api}/v1/info"] if api else []
    typed = "\n".join(f"  {line}" for line in to_type)
    end = "Press Ctrl-C to stop everything" + (" and remove the store." if folder is None else ".")
    text = Text(f"\nIn another terminal:\n{typed}\n\n{end}")
    console(error=True).print(Panel(Group(parts, text), title="ajobs is running", expand=False))
