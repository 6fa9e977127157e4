"""Import the router or handler that a command line or a configuration file names."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from ajobs.protocol.errors import ConfigurationError
from ajobs.worker.routing.router import Router

DEFAULT_NAME = "router"


def load_router(reference: str) -> Router:
    """Import the router ``module:name`` from the working directory or the installed packages. Default name: ``router``.

    Raises:
        ConfigurationError: The module or name does not exist, or is not a router. Exceptions raised inside the module
            pass through.
    """
    router = load_object(reference, default=DEFAULT_NAME)
    if not isinstance(router, Router):
        module_name, _, name = reference.partition(":")
        routers = (key for key, value in vars(sys.modules[module_name]).items() if isinstance(value, Router))
        found = ", ".join(sorted(routers))
        msg = f"{module_name}:{name or DEFAULT_NAME} is not a Router: the module has {found or 'no Router'}"
        raise ConfigurationError(msg)
    return router


def load_object(reference: str, *, default: str) -> Any:
    """Import ``module:name``, or ``module:default`` if the name is left out.

    Raises:
        ConfigurationError: The module or name does not exist.
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
        msg = f"no module named {module_name!r}: pass package.module:{default}, and run where Python can import it"
        raise ConfigurationError(msg) from e
    except (ValueError, TypeError) as e:
        if module_name.strip(".") == module_name and module_name:
            raise
        raise ConfigurationError(f"invalid reference {reference!r}: pass package.module:{default}") from e
    try:
        return getattr(module, name)
    except AttributeError as e:
        names = ", ".join(sorted(key for key, value in vars(module).items() if isinstance(value, Router)))
        hint = f": it has {names}" if names else ""
        raise ConfigurationError(f"module {module_name!r} has no {name!r}{hint}") from e
