"""``asyncjobs.yaml``: a worker without a line of code.

The keys are those of the original's handler packages::

    nats: AJC                           # a context of the nats command line
    queue: EMAIL                        # DEFAULT when left out
    name: mailer                        # what the worker is called
    retry: 1m                           # a retry policy
    discard: [complete]                 # states in which tasks are deleted
    task_signatures_optional: true
    tasks:
      - type: email:new                 # each with one of package, remote and command
        package: myapp.mail:send        # a function, or a Router whose handlers get the type as a prefix
      - type: image
        command: ./thumbnail.sh
      - type: audit
        remote: true
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from asyncjobs.protocol.errors import ConfigurationError
from asyncjobs.worker.loading import load_object
from asyncjobs.worker.router import Router


class TaskHandler(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What handles one task type."""

    type: str
    package: str = ""
    version: str = ""
    """Of the package, for those who build containers; not looked at here."""
    remote: bool = False
    command: str = ""


class WorkerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    nats: str = ""
    queue: str = ""
    name: str = ""
    asyncjobs: str = ""
    """The version of the library, for those who build containers; not looked at here."""
    retry: str = ""
    discard: tuple[str, ...] = ()
    task_signatures_optional: bool = False
    tasks: tuple[TaskHandler, ...]


def load_config(path: str | Path) -> WorkerConfig:
    """Read a configuration file.

    Raises:
        ConfigurationError: It cannot be read, or something in it is wrong; the text says where.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as e:
        raise ConfigurationError(f"cannot read {path}: {e.strerror}") from e
    try:
        config = msgspec.yaml.decode(content, type=WorkerConfig)
    except (msgspec.MsgspecError, ValueError) as e:
        raise ConfigurationError(f"{path}: {' '.join(str(e).split())}") from e
    if not config.tasks:
        raise ConfigurationError(f"{path}: tasks is empty: name at least one type and what handles it")
    return config


def router_of(config: WorkerConfig, folder: Path) -> Router:
    """Return a router with the handlers of a configuration.

    Args:
        config: The configuration.
        folder: Where relative paths of commands begin: that of the file.

    Raises:
        ConfigurationError: A task has none or several of package, remote and command, or a package cannot be loaded.
        DuplicateHandlerError: Two are for one type.
        InvalidNameError: A type is not a valid name.
    """
    router = Router()
    for task in config.tasks:
        given = [name for name in ("package", "remote", "command") if getattr(task, name)]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ConfigurationError(f"task type {task.type!r} has {found}: give one of package, remote and command")
        if task.remote:
            router.remote(task.type)
        elif task.command:
            router.command(task.type, _path(task.command, folder))
        else:
            _add(router, task.type, load_object(task.package, default="handler"), task.package)
    return router


def _add(router: Router, task_type: str, found: Any, reference: str) -> None:
    if isinstance(found, Router):
        router.include(found, task_type)
    elif callable(found):
        router.add(task_type, found)
    else:
        raise ConfigurationError(f"package {reference!r} is {found!r}: name a function or a Router")


def _path(command: str, folder: Path) -> str:
    """Return the command's path; a bare name is looked up on the PATH."""
    return str(folder / command) if "/" in command else command
