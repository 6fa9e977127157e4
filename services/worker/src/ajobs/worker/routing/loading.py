"""Finding what a worker was told to run."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from ajobs.protocol.errors import ConfigurationError
from ajobs.worker.routing.router import Router

DEFAULT_NAME = "router"


def load_router(reference: str) -> Router:
    """Import ``module:name`` (``name`` is ``router`` when left out) from the working directory or what is installed.

    Raises:
        ConfigurationError: There is no such module or name, or it is no router. What goes wrong inside of the module
            is raised as it is.
    """
    router = load_object(reference, default=DEFAULT_NAME)
    if not isinstance(router, Router):
        module_name, _, name = reference.partition(":")
        routers = (key for key, value in vars(sys.modules[module_name]).items() if isinstance(value, Router))
        found = ", ".join(sorted(routers))
        msg = f"{module_name}:{name or DEFAULT_NAME} is no Router; the module has {found or 'no Router at all'}"
        raise ConfigurationError(msg)
    return router


def load_object(reference: str, *, default: str) -> Any:
    """Import ``module:name``, with ``default`` for a name that is left out.

    Raises:
        ConfigurationError: There is no such module or name.
    """
    module_name, _, name = reference.partition(":")
    name = name or default
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as e:
        if e.name is None or not (module_name == e.name or module_name.startswith(f"{e.name}.")):
            raise
        msg = f"there is no module {module_name!r}: give it as package.module:{default}, and run where it is importable"
        raise ConfigurationError(msg) from e
    except (ValueError, TypeError) as e:
        if module_name.strip(".") == module_name and module_name:
            raise
        raise ConfigurationError(f"{reference!r} names no module: give it as package.module:{default}") from e
    try:
        return getattr(module, name)
    except AttributeError as e:
        names = ", ".join(sorted(key for key, value in vars(module).items() if isinstance(value, Router)))
        hint = f": it has {names}" if names else ""
        raise ConfigurationError(f"module {module_name!r} has no {name!r}{hint}") from e
