"""Errors are caught by family or one by one, and have a code and a reason."""

from __future__ import annotations

from typing import assert_type

from ajobs.client import AjobsError, Client, ConflictError, NotFoundError, UnavailableError
from ajobs.protocol import TaskNotFoundError


async def load(client: Client, task_id: str) -> str:
    try:
        return (await client.load(task_id)).type
    except TaskNotFoundError:
        return "gone"
    except (ConflictError, NotFoundError, UnavailableError) as error:
        return error.reason
    except AjobsError as error:
        assert_type(error.code, str)
        raise
