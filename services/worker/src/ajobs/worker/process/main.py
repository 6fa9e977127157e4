"""The command ``ajobs-worker``."""

from __future__ import annotations

import asyncio
import os
import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Annotated

from cyclopts import App

from ajobs.protocol.errors import ConfigurationError
from ajobs.runtime.command import Program, run_app
from ajobs.runtime.environment import normalize_environment
from ajobs.runtime.options import DEFAULTS, ConnectionOptions, MonitorOptions, ServiceLogOptions, option
from ajobs.runtime.program import run_program
from ajobs.worker.process.arguments import (
    ProcessArguments,
    QueueArguments,
    TaskArguments,
    VerifyingOptions,
    client_settings,
)
from ajobs.worker.process.serve import ServeOptions, log_stopped_loop, serve
from ajobs.worker.process.supervisor import Supervisor, code_changes, supervised_number
from ajobs.worker.routing.loading import load_router
from ajobs.worker.routing.router import Router
from ajobs.worker.routing.yaml import WorkerConfig, load_config, router_of

app = App(
    name="ajobs-worker",
    help="Run the tasks of queues with the handlers of a router.",
    version=lambda: version_of("ajobs-worker"),
    default_parameter=DEFAULTS,
)


@app.default
def work(  # noqa: PLR0913 - one argument for each group of options
    router: Annotated[str | None, option("AJ_ROUTER", text="Router with the handlers, as package.module:name.")] = None,
    *,
    config: Annotated[
        str | None, option("AJ_CONFIG", text="File asyncjobs.yaml that lists the handlers, instead of a router.")
    ] = None,
    queues: QueueArguments = QueueArguments(),
    tasks: TaskArguments = TaskArguments(),
    process: ProcessArguments = ProcessArguments(),
    connection: ConnectionOptions = ConnectionOptions(),
    signing: VerifyingOptions = VerifyingOptions(),
    monitor: MonitorOptions = MonitorOptions(),
    log: ServiceLogOptions = ServiceLogOptions(),
) -> int:
    """Run the tasks of queues with the handlers of a router, or of a configuration file.

    On SIGTERM or SIGINT it takes no more tasks, gives running ones the grace period, then cancels them and hands them
    back. A second signal ends the grace period.
    """
    log.start()
    grace_s = tasks.grace_s
    number = supervised_number()
    if number is None and process.is_supervised:
        return _supervise(process, grace_s)
    given = None if config is None else load_config(config)
    options = ServeOptions(
        server=connection.server,
        settings=client_settings(connection, signing, given),
        queues=queues.shares(given),
        new_queue=queues.new_queue,
        bind=queues.bind_queue,
        worker=tasks.worker_options(given),
        name=process.name or (given.name if given is not None else "") or None,
        monitor=None if monitor.monitor is None else monitor.monitor + (number or 0),
        monitor_host=monitor.monitor_host,
    )
    handlers = _router(router, config, given)
    log.restore(debug=log.debug)  # the modules of handlers may have configured logging
    return run_program(serve(handlers, options), log_stopped_loop)


def _supervise(process: ProcessArguments, grace_s: float) -> int:
    if process.processes < 1:
        raise ConfigurationError(f"invalid --processes {process.processes}: use 1 or more")
    supervisor = Supervisor(sys.argv[1:], processes=process.processes, grace_s=grace_s)
    changes = (lambda: code_changes(Path.cwd())) if process.watch else None
    return asyncio.run(supervisor.run(changes))


def _router(reference: str | None, path: str | None, config: WorkerConfig | None) -> Router:
    if config is not None and path is not None:
        if reference is not None:
            raise ConfigurationError("pass either a router or --config, not both")
        return router_of(config, Path(path).resolve().parent)
    if reference is None:
        raise ConfigurationError("no router: pass one as package.module:name, or use --config FILE")
    return load_router(reference)


def main() -> None:
    """Run the command with the arguments of this process."""
    normalize_environment(os.environ)
    sys.exit(run_app(app, Program("ajobs-worker"), sys.argv[1:]))


if __name__ == "__main__":
    main()
