"""The command ``ajobs-scheduler``: its options."""

from __future__ import annotations

import os
import socket
import sys
from importlib.metadata import version as version_of
from typing import Annotated

from cyclopts import App

from ajobs.runtime.command import Program, run_app
from ajobs.runtime.environment import normalize_environment
from ajobs.runtime.options import (
    DEFAULTS,
    ConnectionOptions,
    MonitorOptions,
    ScheduleSignatureOptions,
    ServiceLogOptions,
    SigningOptions,
    StorageOptions,
    option,
)
from ajobs.runtime.program import run_program
from ajobs.scheduler.serve import ServeOptions, serve

HELP = "Create tasks from schedules while this scheduler leads."

app = App(
    name="ajobs-scheduler",
    help=HELP,
    version=lambda: version_of("ajobs-scheduler"),
    default_parameter=DEFAULTS,
)


@app.default
def schedule(  # noqa: PLR0913 - one argument for each group of options
    *,
    name: Annotated[
        str | None,
        option(
            "AJ_SCHEDULER_NAME",
            "AJC_SCHEDULER_NAME",
            "AJ_NAME",
            text="Name of this scheduler, unique among schedulers. Default: host name and process ID.",
        ),
    ] = None,
    no_janitor: Annotated[bool, option("AJ_NO_JANITOR", text="Do not repair stuck tasks while leading.")] = False,
    connection: ConnectionOptions = ConnectionOptions(),
    signing: SigningOptions = SigningOptions(),
    schedule_signatures: ScheduleSignatureOptions = ScheduleSignatureOptions(),
    storage: StorageOptions = StorageOptions(),
    monitor: MonitorOptions = MonitorOptions(),
    log: ServiceLogOptions = ServiceLogOptions(),
) -> int:
    """Create tasks from schedules while this scheduler leads.

    Run as many schedulers as you like: one leads, the others stand by. SIGTERM and SIGINT stop it and give up
    leadership.
    """
    log.start()
    options = ServeOptions(
        name=name or f"{socket.gethostname()}-{os.getpid()}",
        server=connection.server,
        settings={
            **connection.settings,
            **signing.settings,
            **schedule_signatures.settings,
            **storage.settings,
            "name": "ajobs-scheduler",
        },
        repair=not no_janitor,
        monitor=monitor.monitor,
        monitor_host=monitor.monitor_host,
    )
    return run_program(serve(options))


def main() -> None:
    """Run the command with the arguments of this process."""
    normalize_environment(os.environ)
    sys.exit(run_app(app, Program("ajobs-scheduler"), sys.argv[1:]))


if __name__ == "__main__":
    main()
