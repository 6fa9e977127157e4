"""Work items: what a queue holds. They refer to a task by its id."""

from __future__ import annotations

import msgspec

TASK_ITEM = 0
"""The only kind of work item that there is."""


class WorkItem(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A reference to a task that waits to be run."""

    kind: int = TASK_ITEM
    job: str
