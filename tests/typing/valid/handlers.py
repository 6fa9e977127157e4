"""A worker's module registers handlers."""

from __future__ import annotations

from typing import assert_type

import msgspec

from ajobs.worker import Context, RetryTask, Router, Task, TerminateTask

router = Router()


class Email(msgspec.Struct):
    to: str


@router.handler("email:new")
async def send(email: Email, context: Context) -> str:
    assert_type(context.task, Task)
    if not email.to:
        raise TerminateTask("no address")
    return email.to


@router.handler("email:count", executor="process", retry_policy="1m")
def count(words: list[str]) -> int:
    if not words:
        raise RetryTask("later")
    return len(words)


assert_type(count(["a"]), int)
router.command("thumbnail", "/usr/bin/convert")
