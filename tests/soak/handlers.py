"""Handlers that succeed, fail, hang and kill their process."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

import msgspec

from ajobs.worker import Command, Context, RetryTask, Router, TerminateTask

router = Router()

HANG_S = 3600


@router.handler("ok")
async def ok(payload: int) -> int:
    return payload * 2


@router.handler("slow")
async def slow(payload: int) -> int:
    await asyncio.sleep(0.2 + payload % 10 / 10)
    return payload * 2


@router.handler("thread")
def thread(payload: int) -> int:
    time.sleep(0.05)
    return payload * 2


@router.handler("process", executor="process")
def process(payload: int) -> int:
    return sum(range(payload % 10_000)) * 0 + payload * 2


router.add("command", Command("/bin/sh", "-c", 'test -s "$CHORIA_AJ_TASK" && echo done'))


@router.handler("child")
async def child(payload: int, context: Context) -> int:
    return payload * 2 + len(context.dependency_results()) * 0


@router.handler("failing")
async def failing(payload: int, context: Context) -> int:
    """Fail in the first two tries."""
    if context.task.tries <= 2:
        raise RetryTask("not yet", after=0.1) if payload % 2 else ValueError("not yet")
    return payload * 2


@router.handler("raising")
async def raising() -> None:
    raise ValueError("never")


@router.handler("terminating")
async def terminating() -> None:
    raise TerminateTask("permanent failure")


@router.handler("hanging")
async def hanging() -> None:
    await asyncio.sleep(HANG_S)


@router.handler("process-hanging", executor="process")
def process_hanging() -> None:
    time.sleep(HANG_S)


@router.handler("process-dying", executor="process")
def process_dying() -> None:
    os._exit(9)


@router.handler("dying")
async def dying(payload: int, context: Context) -> int:
    """End the whole worker process in the first try."""
    if context.task.tries == 1:
        os._exit(13)
    return payload * 2


class Resources(msgspec.Struct):
    """The resources that a worker process holds."""

    pid: int
    tasks: int
    threads: int
    files: int
    children: int


@router.handler("inspect")
async def inspect() -> Resources:
    pid = os.getpid()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()  # noqa: ASYNC240 - short
    return Resources(
        pid=pid,
        tasks=len(asyncio.all_tasks()),
        threads=threading.active_count(),
        files=len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - short
        children=len(children),
    )
