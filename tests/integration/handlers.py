"""Handlers for workers that run as processes of their own."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator

from asyncjobs.worker import Context, Router, Task

router = Router()


slow_to_start = Router()
slow_to_start.add("t", lambda: "ran")


@slow_to_start.lifespan
async def connects() -> AsyncGenerator[None]:
    """Wait for a database that is not there."""
    logging.getLogger("asyncjobs.handler").info("connecting")
    await asyncio.Event().wait()
    yield


@router.handler("echo")
async def echo(payload: int) -> int:
    return payload


@router.handler("work")
async def work(payload: int) -> int:
    await asyncio.sleep(0.005)
    return payload * 2


@router.handler("slow")
async def slow(payload: float) -> str:
    await asyncio.sleep(payload)
    return "done"


@router.handler("stubborn")
async def stubborn() -> None:
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue


@router.handler("clumsy")
async def clumsy() -> None:
    try:
        await asyncio.sleep(3600)
    finally:
        raise OSError("cannot clean up")


@router.handler("thread")
def thread(payload: float, task: Task, context: Context) -> str:
    time.sleep(payload)
    return f"{task.id} {context.task.tries}"


@router.handler("extending")
async def extending(context: Context) -> None:
    while True:
        await context.in_progress()
        await asyncio.sleep(0.05)
