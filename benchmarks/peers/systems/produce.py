"""Times enqueuing: ``COUNT`` calls, some at a time, and in bulk when the system can."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable

try:
    import uvloop
except ImportError:
    uvloop = None

COUNT = int(os.environ.get("BENCH_COUNT", "0"))
CALLERS = 64


async def timed(call: Callable[[int], Awaitable[object]]) -> float:
    numbers = iter(range(COUNT))

    async def caller() -> None:
        for number in numbers:
            await call(number)

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return time.perf_counter() - began


def report(**seconds: float) -> None:
    print(json.dumps(seconds))


def run(main: Callable[[], Awaitable[None]]) -> None:
    (asyncio if uvloop is None else uvloop).run(main())
