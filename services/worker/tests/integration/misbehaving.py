"""Handlers that harm the process that they run in."""

import asyncio
import os
import signal
import threading
import time

from ajobs.worker import Router

router = Router()


@router.handler("stop_loop")
async def stop_the_loop() -> None:
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0.1)


@router.handler("interrupt")
async def interrupt() -> None:
    raise KeyboardInterrupt


@router.handler("leave_thread")
async def leave_a_thread() -> None:
    threading.Thread(target=time.sleep, args=(600,), name="left behind").start()


@router.handler("fork")
async def fork() -> int:
    return os.fork()


@router.handler("fork_thread")
def fork_in_a_thread() -> int:
    return os.fork()


@router.handler("fine")
async def fine() -> str:
    return "fine"


@router.handler("kill")
async def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
