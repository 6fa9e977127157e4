"""Build the router that an ``asyncjobs.yaml`` describes. `ajobs.runtime.worker_file` reads the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ajobs.protocol.errors import ConfigurationError
from ajobs.runtime.worker_file import WorkerConfig, load_config
from ajobs.worker.routing.loading import load_object
from ajobs.worker.routing.router import Router

__all__ = ["WorkerConfig", "load_config", "router_of"]


def router_of(config: WorkerConfig, folder: Path) -> Router:
    """Return a router with the handlers of a configuration.

    Args:
        config: The configuration.
        folder: The folder of the file, to which paths of commands are relative.

    Raises:
        ConfigurationError: A task type does not have exactly one of package, remote and command, or a package cannot be
            imported.
        DuplicateHandlerError: A task type has two handlers.
        InvalidNameError: A task type is not a valid name.
    """
    router = Router()
    for task in config.tasks:
        if task.kind == "remote":
            router.remote(task.type)
        elif task.kind == "command":
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
        raise ConfigurationError(f"invalid package {reference!r}: expected a function or a Router, got {found!r}")


def _path(command: str, folder: Path) -> str:
    """Return the path of a command. A name without a slash is searched for on the PATH."""
    return str(folder / command) if "/" in command else command
