"""Finding the router that a worker was told to run."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from asyncjobs.protocol.errors import ConfigurationError
from asyncjobs.worker.router import Router

DEFAULT_NAME = "router"


def load_router(reference: str) -> Router:
    """Import ``module:name`` (``name`` is ``router`` when left out) from the working directory or what is installed.

    Raises:
        ConfigurationError: There is no such module or name, or it is no router. What goes wrong inside of the module
            is raised as it is.
    """
    module_name, _, name = reference.partition(":")
    name = name or DEFAULT_NAME
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as e:
        if e.name is None or not (module_name == e.name or module_name.startswith(f"{e.name}.")):
            raise
        msg = f"there is no module {module_name!r}: give it as package.module:router, and run where it can be imported"
        raise ConfigurationError(msg) from e
    router = getattr(module, name, None)
    if not isinstance(router, Router):
        found = sorted(key for key, value in vars(module).items() if isinstance(value, Router))
        hint = f"it has {', '.join(found)}" if found else "it has no Router at all"
        msg = f"module {module_name!r} has no Router named {name!r}: {hint}"
        raise ConfigurationError(msg)
    return router
