"""``ajc tasks result``."""

from __future__ import annotations

from typing import Any

from ajobs.admin.cli.arguments import Json, Timeout
from ajobs.admin.cli.session import connect
from ajobs.admin.text.printing import say_foreign, show_json
from ajobs.protocol.durations import SECOND_NS


async def result(
    task_id: str,
    /,
    *,
    timeout: Timeout = None,  # noqa: ASYNC109 - an option
    json: Json = False,
) -> None:
    """Wait for a task and print its result.

    A text is printed without quotes, any other result as JSON. A terminal shows control characters escaped.

    Parameters
    ----------
    task_id
        ID of the task.
    """
    async with connect() as client:
        found: Any = await client.result(task_id, timeout=None if timeout is None else timeout / SECOND_NS)
    if isinstance(found, str) and not json:
        say_foreign(found)
    else:
        show_json(found)
