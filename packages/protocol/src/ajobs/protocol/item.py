"""Work items: the messages of a queue. They refer to a task by its id."""

from __future__ import annotations

import msgspec

TASK_ITEM = 0
"""The only kind of work item."""


class WorkItem(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A reference to a task."""

    kind: int = TASK_ITEM
    job: str
