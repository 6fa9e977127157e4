"""End the copy of this process that a handler leaves behind when it calls ``os.fork()`` and its child returns.

The copy has the worker's event loop and its connection to NATS. It would acknowledge items of its parent.
"""

from __future__ import annotations

import logging
import os

EXIT_STATUS = 70
"""The exit status of such a copy."""

_forked: list[int] = []
"""The process IDs of parents, in a process that is a copy of a worker."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _forked.append(os.getppid()))


def begin() -> None:
    """Take this process for the worker, and only copies of it that are made from now on for copies."""
    _forked.clear()


def leave_if_forked(handler: str) -> None:
    """End this process if it is a copy of the worker. Call it when the handler of this description has ended."""
    if _forked:
        logging.getLogger("ajobs.worker").error(
            "%s called os.fork() and its child returned: ending process ID %d. "
            "End a child with os._exit(), or use a subprocess",
            handler,
            os.getpid(),
        )
        os._exit(EXIT_STATUS)
