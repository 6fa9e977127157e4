"""``ajc tasks process`` and ``ajc schedules scheduler``: become a worker, or a scheduler.

The services know nothing of one another, so these start the service's own command in the place of this one: signals and
the exit status are its own. What must not be seen in a list of processes, seeds above all, it reads from a pipe.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import msgspec
from cyclopts import Parameter

from ajobs.admin.cli import session
from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.names import check_name
from ajobs.protocol.subjects import DEFAULT_QUEUE

Backoff = Literal["default", "10m", "1h", "1m"]


def process(  # noqa: PLR0913 - what a worker is told
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
    """Run the tasks of a queue with a program, or with a service behind NATS, until told to stop.

    Parameters
    ----------
    type_
        The type of the tasks, or the beginning of it up to a colon; "" is every type.
    queue
        The queue. DEFAULT is made when it is missing, others have to exist.
    concurrency
        How many tasks to run at once.
    command
        The program that is run for each task.
    remote
        Have each task handled by a service that answers requests over NATS.
    monitor
        Serve metrics and health on this port.
    discard_complete
        Delete tasks that complete.
    discard_expired
        Delete tasks that expire.
    backoff
        How long failed tasks wait.
    """
    if remote == (command is not None):
        what = "both are" if remote else "neither is"
        raise ConfigurationError(f"give either a COMMAND or --remote, {what} given")
    handler: dict[str, object] = {"type": check_name("task type", type_) if type_ else "", "remote": remote}
    if command is not None:
        handler["command"] = _program(command)
    config = {"queue": check_name("queue name", queue), "retry": backoff, "tasks": [handler]}
    arguments = ["--config", _pipe(msgspec.json.encode(config)), "--queue", queue, "--concurrency", str(concurrency)]
    if queue != DEFAULT_QUEUE:
        arguments.append("--bind-queue")
    if monitor is not None:
        arguments += ["--monitor", str(monitor)]
    for state, is_discarded in (("complete", discard_complete), ("expired", discard_expired)):
        if is_discarded:
            arguments += ["--discard", state]
    keys = session.keys()
    if "verification_key" in keys:
        arguments += ["--verification-key", _hex(keys["verification_key"])]
    elif "signing_key" in keys:
        arguments += ["--signing-seed-file", _pipe(_hex(keys["signing_key"]).encode())]
    _become("ajobs.worker.process.main", "ajobs-worker", arguments)


def scheduler(
    name: Annotated[str, Parameter(env_var="AJC_SCHEDULER_NAME")],
    /,
    *,
    monitor: int | None = None,
) -> None:
    """Make tasks from schedules, for as long as this scheduler leads, until told to stop.

    Parameters
    ----------
    name
        What it is called, unique among the schedulers.
    monitor
        Serve metrics and health on this port.
    """
    arguments = ["--name", name]
    if monitor is not None:
        arguments += ["--monitor", str(monitor)]
    keys = session.keys()
    if "signing_key" in keys:
        arguments += ["--signing-seed-file", _pipe(_hex(keys["signing_key"]).encode())]
    _become("ajobs.scheduler.main", "ajobs-scheduler", arguments)


def _program(command: str) -> str:
    path = Path(command).absolute()
    if not path.is_file():
        raise ConfigurationError(f"there is no program {command}: name an existing file")
    if not os.access(path, os.X_OK):
        raise ConfigurationError(f"{command} cannot be executed: chmod +x {command}")
    return str(path)


def _hex(key: bytes | str | None) -> str:
    return key.hex() if isinstance(key, bytes) else str(key)


def _pipe(content: bytes) -> str:
    """Return the name of a file that can be read once and holds this, for the program that this one becomes."""
    reader, writer = os.pipe()
    # It fits into the pipe, so nobody needs to read meanwhile.
    os.write(writer, content)
    os.close(writer)
    os.set_inheritable(reader, True)  # noqa: FBT003 - the library's own signature
    return f"/dev/fd/{reader}"


def _become(module: str, distribution: str, arguments: list[str]) -> NoReturn:
    if find_spec(module.partition(".main")[0]) is None:
        raise ConfigurationError(f"{distribution} is not installed: pip install {distribution}")
    if session.options().debug:
        arguments.append("--debug")
    sys.stdout.flush()
    environment = {**os.environ, **session.environment()}
    os.execve(sys.executable, [sys.executable, "-m", module, *arguments], environment)  # noqa: S606 - ours
