"""The router that an ``asyncjobs.yaml`` describes; see `ajobs.runtime.worker_file`."""

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
        folder: Where relative paths of commands begin: that of the file.

    Raises:
        ConfigurationError: A task has none or several of package, remote and command, or a package cannot be loaded.
        DuplicateHandlerError: Two are for one type.
        InvalidNameError: A type is not a valid name.
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
        raise ConfigurationError(f"package {reference!r} is {found!r}: name a function or a Router")


def _path(command: str, folder: Path) -> str:
    """Return the command's path; a bare name is looked up on the PATH."""
    return str(folder / command) if "/" in command else command
