"""The ``AJ_*`` variables of a process, cleaned before options are read from them."""

from __future__ import annotations

from collections.abc import MutableMapping

PREFIX = "AJ_"

OLD_BIND = "AJ_BIND"
"""Up to 0.1 this was a switch for workers and an address for the HTTP API."""
BIND_QUEUE = "AJ_BIND_QUEUE"
LISTEN = "AJ_LISTEN"


def normalize_environment(environ: MutableMapping[str, str]) -> None:
    """Remove ``AJ_*`` variables that are empty, and rename those that have a new name.

    An empty variable counts as not set, because Compose files and Kubernetes manifests cannot leave one out. A variable
    that is set under its new name keeps its value.
    """
    for name in [name for name, value in environ.items() if name.startswith(PREFIX) and not value]:
        del environ[name]
    value = environ.pop(OLD_BIND, None)
    if value is not None:
        # An address has a colon and a switch has none, so both programs can share one environment.
        environ.setdefault(LISTEN if ":" in value else BIND_QUEUE, value)
