"""Pages of stored tasks, with cursors to continue at."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from ajobs.client.storage.tasks import Stored
from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.task import Task

PAGE = 200
"""Default page size."""
MAX_CURSOR = 20
"""Digits of a cursor at most, as many as a sequence of a stream can have."""


class TaskPage(msgspec.Struct, frozen=True):
    """Some of the stored tasks, and the cursor of the next page, which is empty on the last one."""

    tasks: list[Task]
    cursor: str


def page_start(limit: int, cursor: str) -> int:
    """Return the revision after which a page starts.

    Raises:
        ConfigurationError: The limit is not positive, or the cursor is not valid.
    """
    if limit < 1:
        raise ConfigurationError(f"invalid limit {limit}: use 1 or more")
    if cursor and not (len(cursor) <= MAX_CURSOR and cursor.isascii() and cursor.isdecimal()):
        raise ConfigurationError(f"invalid cursor {cursor[:40]!r}: pass the `cursor` of the previous page")
    return int(cursor or 0)


async def read_page(found: AsyncGenerator[Stored], limit: int) -> TaskPage:
    """Read the tasks of one page, and close the generator."""
    page: list[Task] = []
    last = ""
    async with aclosing(found):
        async for stored in found:
            if len(page) == limit:
                return TaskPage(page, last)
            page.append(stored.task)
            last = str(stored.revision)
    return TaskPage(page, "")
