"""``ajc schedules scheduler``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ajobs.admin.cli import session
from ajobs.admin.cli.services import become, key_text, pipe_with


def scheduler(
    name: Annotated[str, Parameter(env_var="AJC_SCHEDULER_NAME")],
    /,
    *,
    monitor: int | None = None,
) -> None:
    """Run a scheduler until it is stopped.

    While it leads, it creates the tasks of all schedules.

    Parameters
    ----------
    name
        Name of the scheduler, unique among all schedulers.
    monitor
        Port for metrics and health.
    """
    arguments = ["--name", name]
    if monitor is not None:
        arguments += ["--monitor", str(monitor)]
    keys = session.keys()
    if "signing_key" in keys:
        arguments += ["--signing-seed-file", pipe_with(key_text(keys["signing_key"]).encode())]
    become("ajobs.scheduler.main", "ajobs-scheduler", arguments)
