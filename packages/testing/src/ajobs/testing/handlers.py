"""Handlers for worker processes in tests: echo, slow, stubborn and others."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator

from ajobs.worker import Context, Router, Task

router = Router()


slow_to_start = Router()
slow_to_start.add("t", lambda: "ran")


@slow_to_start.lifespan
async def connects() -> AsyncGenerator[None]:
    """Never finish setting up, like a lifespan whose database does not answer."""
    logging.getLogger("ajobs.handler").info("connecting")
    await asyncio.Event().wait()
    yield


@router.handler("echo")
async def echo(payload: int) -> int:
    """Return the payload."""
    return payload


@router.handler("work")
async def work(payload: int) -> int:
    """Take a moment, then return twice the payload."""
    await asyncio.sleep(0.005)
    return payload * 2


@router.handler("slow")
async def slow(payload: float) -> str:
    """Take as many seconds as the payload says."""
    await asyncio.sleep(payload)
    return "done"


@router.handler("stubborn")
async def stubborn() -> None:
    """Ignore cancellation."""
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue


@router.handler("clumsy")
async def clumsy() -> None:
    """Fail while being cancelled."""
    try:
        await asyncio.sleep(3600)
    finally:
        raise OSError("cannot clean up")


@router.handler("thread")
def thread(payload: float, task: Task, context: Context) -> str:
    """Block a thread for as many seconds as the payload says."""
    time.sleep(payload)
    return f"{task.id} {context.task.tries}"


@router.handler("extending")
async def extending(context: Context) -> None:
    """Run until cancelled, and extend the lease meanwhile."""
    while True:
        await context.in_progress()
        await asyncio.sleep(0.05)
