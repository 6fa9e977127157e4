"""``ajc dev``."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ajobs.admin.cli import session
from ajobs.admin.text import output
from ajobs.protocol.errors import ConfigurationError, UnavailableError
from ajobs.protocol.subjects import DEFAULT_QUEUE

if TYPE_CHECKING:
    from ajobs.admin.dev.stack import LocalStack

NATS_PORT = 4222
API_PORT = 8080
LOOK_S = 0.5
"""Seconds between two looks at whether everything still runs."""
CONFIG = Path("asyncjobs.yaml")
STYLES = {"scheduler": "magenta", "api": "blue"}

logger = logging.getLogger("ajobs.dev")

Switch = Annotated[bool, Parameter(negative=(), show_default=False)]


async def dev(  # noqa: PLR0913 - one argument an option
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
    """Run everything on this machine until Ctrl-C: nats-server, workers, a scheduler, the HTTP API.

    All of it listens on the loopback address only. When one part ends, all do.

    Parameters
    ----------
    router
        Where the handlers are: package.module:name of a Router. Default: what an asyncjobs.yaml here says, if there
        is one; else there is no worker.
    config
        An asyncjobs.yaml elsewhere.
    queue
        The queue to work on.
    concurrency
        How many tasks each worker runs at once.
    workers
        How many worker processes to run.
    watch
        Start the workers again when code below the working directory changes.
    port
        The port of nats-server. Default: 4222 when it is free, else another one.
    api_port
        The port of the HTTP API. Default: 8080 when it is free, else another one.
    no_scheduler
        Run no scheduler.
    no_api
        Run no HTTP API.
    store
        A folder to keep the tasks in, from one run to the next. Default: they are removed at the end.
    """
    from ajobs.admin.dev.stack import LocalStack, free_port
    from ajobs.admin.dev.store import kept_store
    from ajobs.runtime.program import stopped_by_signals
    from ajobs.testing.nats_server import NatsServer  # with the client, which takes time

    handlers = _handlers(router, config)
    if workers < 0 or concurrency < 1:
        raise ConfigurationError("--workers has to be 0 or more, and --concurrency 1 or more")
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
        # More than one line: it has the end of a log.
        print(f"ajc: {e}", file=sys.stderr)  # noqa: T201 - what the user reads
        return 1
    return 0


async def _stay(stack: LocalStack, stop: asyncio.Event, show: Callable[[dict[str, str]], None]) -> None:
    """Wait until all are ready, show it, and stay until told to stop, or until one ends, which is raised."""
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
        print("stopping", file=sys.stderr)  # noqa: T201 - likewise


def _handlers(router: str | None, config: Path | None) -> list[str]:
    """Return the worker's arguments that say where the handlers are; none when nothing does."""
    if router is not None and config is not None:
        raise ConfigurationError("give either a router or --config, not both")
    if router is not None:
        return [router]
    if config is None and not CONFIG.exists():
        return []
    return ["--config", str(config or CONFIG)]


def _worker_arguments(handlers: list[str], queue: str, concurrency: int, *, watch: bool) -> list[str]:
    arguments = [*handlers, "--concurrency", str(concurrency), "--log-level", "info"]
    # A file may name another queue, unless somebody says which.
    if queue != DEFAULT_QUEUE or handlers[0] != "--config":
        arguments += ["--queue", queue]
    return [*arguments, "--watch"] if watch else arguments


async def _all_ready(stack: LocalStack, stop: asyncio.Event) -> dict[str, str] | None:
    """Wait until all are ready and return what each said then; nothing when told to stop first."""

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

    out = output.console(error=True)
    out.print(Text.assemble((f"{name:<9} ", STYLES.get(name, "green")), output.printable(line)), soft_wrap=True)


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
        ("nats", f"{url}, its store is {'temporary' if folder is None else f'kept in {folder}'}"),
        (workers, f"{handlers[-1]}: {worker}" if worker else "none: give a router"),
        ("scheduler", "makes the tasks of schedules" if "scheduler" in lines else "none"),
        ("api", f"{api}/v1, described at {api}/docs" if api else "none"),
    ):
        parts.add_row(Text(name, style="bold"), Text(what, overflow="fold"))
    to_type = [f"export NATS_URL={url}", f"ajc tasks add TYPE PAYLOAD --queue {queue}", "ajc tasks list", "ajc top"]
    to_type += [f"curl {api}/v1/info"] if api else []
    typed = "\n".join(f"  {line}" for line in to_type)
    end = "Ctrl-C stops everything" + (" and removes the store" if folder is None else "")
    text = Text(f"\nin another terminal:\n{typed}\n\n{end}")
    output.console(error=True).print(Panel(Group(parts, text), title="ajobs is running", expand=False))
