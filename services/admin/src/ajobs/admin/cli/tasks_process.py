"""``ajc tasks process``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cyclopts import Parameter

from ajobs.admin.cli import session
from ajobs.admin.cli.services import become, key_text, pipe_with
from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.names import check_name
from ajobs.protocol.subjects import DEFAULT_QUEUE

Backoff = Literal["default", "10m", "1h", "1m"]


def process(  # noqa: PLR0913 - each option is a parameter
    type_: Annotated[str, Parameter(name="TYPE", env_var="AJC_TYPE")],
    queue: Annotated[str, Parameter(env_var="AJC_QUEUE")],
    concurrency: Annotated[int, Parameter(env_var="AJC_CONCURRENCY")],
    command: Annotated[str | None, Parameter(env_var="AJC_COMMAND")] = None,
    /,
    *,
    remote: bool = False,
    monitor: int | None = None,
    discard_complete: bool = False,
    discard_expired: bool = False,
    backoff: Backoff = "default",
) -> None:
    """Run tasks with a program or a NATS service.

    Runs until it is stopped.

    Parameters
    ----------
    type_
        Task type, or the part of it before a colon; "" is every type.
    queue
        Queue to work on. DEFAULT is created if it is missing; other queues must exist.
    concurrency
        Number of tasks that run concurrently.
    command
        Program that runs for each task.
    remote
        Send each task to a NATS service that answers requests.
    monitor
        Port for metrics and health.
    discard_complete
        Delete tasks that become complete.
    discard_expired
        Delete tasks that become expired.
    backoff
        Retry policy of failed tasks.
    """
    if remote == (command is not None):
        given = "both" if remote else "neither"
        raise ConfigurationError(f"pass either COMMAND or --remote, got {given}")
    handler: dict[str, object] = {"type": check_name("task type", type_) if type_ else "", "remote": remote}
    if command is not None:
        handler["command"] = _program(command)
    config = {"queue": check_name("queue name", queue), "retry": backoff, "tasks": [handler]}
    arguments = [
        "--config",
        pipe_with(msgspec.json.encode(config)),
        "--queue",
        queue,
        "--concurrency",
        str(concurrency),
    ]
    if queue != DEFAULT_QUEUE:
        arguments.append("--bind-queue")
    if monitor is not None:
        arguments += ["--monitor", str(monitor)]
    for state, is_discarded in (("complete", discard_complete), ("expired", discard_expired)):
        if is_discarded:
            arguments += ["--discard", state]
    keys = session.keys()
    if "verification_key" in keys:
        arguments += ["--verification-key", key_text(keys["verification_key"])]
    elif "signing_key" in keys:
        arguments += ["--signing-seed-file", pipe_with(key_text(keys["signing_key"]).encode())]
    become("ajobs.worker.process.main", "ajobs-worker", arguments)


def _program(command: str) -> str:
    path = Path(command).absolute()
    if not path.is_file():
        raise ConfigurationError(f"command {command!r} not found: pass the path of an existing file")
    if not os.access(path, os.X_OK):
        raise ConfigurationError(f"command {command!r} is not executable: run chmod +x {command}")
    return str(path)
