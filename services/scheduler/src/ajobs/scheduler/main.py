"""The command ``ajobs-scheduler``."""

from __future__ import annotations

import logging
import os
import socket
import sys
from importlib.metadata import version as version_of
from typing import Annotated, Literal

from cyclopts import App, Parameter

from ajobs.client import Client
from ajobs.client.observability.exposition import LOOPBACK
from ajobs.client.settings import Settings
from ajobs.protocol.errors import AjobsError
from ajobs.runtime.logging import start_logging
from ajobs.runtime.program import forget_empty_variables, monitored, run_program, stopped_by_signals
from ajobs.scheduler.scheduler import Scheduler

USAGE_ERROR = 2
FAILED = 1

logger = logging.getLogger("ajobs.scheduler")

app = App(
    name="ajobs-scheduler",
    help="Make tasks from schedules, for as long as this scheduler leads.",
    version=lambda: version_of("ajobs-scheduler"),
    default_parameter=Parameter(negative=()),
)


def _env(*names: str) -> Parameter:
    return Parameter(env_var=names, show_default=lambda value: value or None)


@app.default
def schedule(  # noqa: PLR0913 - one argument an option
    *,
    name: Annotated[str | None, _env("AJ_SCHEDULER_NAME", "AJC_SCHEDULER_NAME", "AJ_NAME")] = None,
    server: Annotated[str | None, _env("AJ_NATS_URL")] = None,
    context: Annotated[str | None, _env("AJ_NATS_CONTEXT")] = None,
    signing_seed_file: Annotated[str | None, _env("AJ_SIGNING_SEED_FILE")] = None,
    no_janitor: Annotated[bool, _env("AJ_NO_JANITOR")] = False,
    replicas: Annotated[int, _env("AJ_REPLICAS")] = 1,
    monitor: Annotated[int | None, _env("AJ_MONITOR")] = None,
    monitor_host: Annotated[str, _env("AJ_MONITOR_HOST")] = LOOPBACK,
    log_format: Annotated[Literal["text", "json"], _env("AJ_LOG_FORMAT")] = "text",
    log_level: Annotated[str, _env("AJ_LOG_LEVEL")] = "info",
    debug: Annotated[bool, _env("AJ_DEBUG")] = False,
) -> int:
    """Make tasks from schedules, for as long as this scheduler leads.

    Run as many as you like: one leads, the others stand by. Stops on SIGTERM and SIGINT, and gives leadership up.

    Parameters
    ----------
    name
        What this scheduler is called, unique among them. Default: host and process id.
    server
        URL of a NATS server. Default: what NATS_URL or the NATS context says, else the loopback address.
    context
        Name of a context of the nats command line.
    signing_seed_file
        File with the hex seed to sign tasks with.
    no_janitor
        Do not clean up behind tasks that nothing moves any more.
    replicas
        On how many servers to keep streams and buckets that are made here.
    monitor
        Serve metrics, /healthz and /readyz on this port.
    monitor_host
        The address for that.
    log_format
        text, or json with an object a line.
    log_level
        debug, info, warning or error.
    debug
        The same as --log-level debug.
    """
    try:
        start_logging(level="debug" if debug else log_level, log_format=log_format)
        settings: Settings = {
            "signing_seed_file": signing_seed_file,
            "replicas": replicas,
            "name": "ajobs-scheduler",
        }
        if context is not None:
            settings["context"] = context
        own_name = name or f"{socket.gethostname()}-{os.getpid()}"
        return run_program(_serve(server, settings, own_name, (monitor, monitor_host), janitor=not no_janitor))
    except AjobsError as e:
        print(f"ajobs-scheduler: {e}", file=sys.stderr)  # noqa: T201 - what the user reads
        return USAGE_ERROR if e.code == "invalid_argument" else FAILED


async def _serve(
    server: str | None, settings: Settings, name: str, monitor: tuple[int | None, str], *, janitor: bool
) -> int:
    async with Client.connect(server, logger=logger, **settings) as client:
        scheduler = Scheduler(client, name, janitor=janitor, logger=logger)
        port, host = monitor
        with stopped_by_signals(scheduler.stop, logger), monitored(port, host, scheduler.problems, logger):
            logger.info("scheduler ready: campaigning as %s", name)
            await scheduler.run()
    logger.info("scheduler stopped")
    return 0


def main() -> None:
    """Run the command with the arguments of this process."""
    forget_empty_variables()
    sys.exit(app())


if __name__ == "__main__":
    main()
