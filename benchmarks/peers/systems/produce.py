"""The producer of every system: it enqueues tasks one by one or in bulk, or measures latencies.

The first argument is the mode: ``one``, ``bulk`` or ``latency``. The last line of output is a JSON report.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

COUNT = int(os.environ.get("BENCH_COUNT", "0"))
SIZE = int(os.environ.get("BENCH_SIZE", "0"))
"""Bytes of a payload; 0: a small number."""
RATE = float(os.environ.get("BENCH_RATE", "0"))
"""Tasks per second while latencies are measured; 0: one after another."""
LATENCY_S = float(os.environ.get("BENCH_LATENCY_S", "0"))
CALLERS = 64
PAUSE_S = 0.005
STEP_S = 0.01
SAMPLE = 20
"""At a rate, the producer waits for the result of one task in this many."""
RESULT_S = 10


def payload(number: int) -> Any:
    """Return the payload of a task."""
    return number if not SIZE else f"{number:09d}" + "x" * (SIZE - 9)


def report(**figures: Any) -> None:
    """Print the figures as JSON, with the CPU time used."""
    print(json.dumps(figures | {"cpu_s": time.process_time()}))


def run(
    main: Callable[[Callable[..., Awaitable[None]]], Awaitable[None]],
) -> None:
    """Run a system's ``main``, which connects and then calls `measure`."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main(measure))
    else:
        uvloop.run(main(measure))


async def measure(
    enqueue: Callable[[Any], Awaitable[Any]],
    bulk: Callable[[list[Any]], Awaitable[None]] | None = None,
    result: Callable[[Any], Awaitable[float]] | None = None,
) -> None:
    """Enqueue in the mode of the command line.

    ``enqueue`` takes a payload and returns a handle; ``bulk`` enqueues many; ``result`` waits for a handle's result.
    """
    mode = sys.argv[1]
    if mode == "latency":
        await _latency(enqueue, result)
        return
    payloads = [payload(number) for number in range(COUNT)]
    began = time.perf_counter()
    if mode == "bulk":
        assert bulk is not None
        await bulk(payloads)
    else:
        numbers = iter(payloads)

        async def caller() -> None:
            for each in numbers:
                await enqueue(each)

        await asyncio.gather(*(caller() for _ in range(CALLERS)))
    report(seconds=time.perf_counter() - began)


async def _latency(enqueue: Callable[[Any], Awaitable[Any]], result: Callable[[Any], Awaitable[float]] | None) -> None:
    seen: list[float] = []

    async def one(*, wait: bool) -> None:
        sent = time.time()
        handle = await enqueue(sent)
        if wait and result is not None:
            async with asyncio.timeout(RESULT_S):
                await result(handle)
            seen.append(time.time() - sent)

    end = time.perf_counter() + LATENCY_S
    sent = 0
    if not RATE:
        while time.perf_counter() < end:
            await one(wait=True)
            sent += 1
            await asyncio.sleep(PAUSE_S)
    else:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            while (now := time.perf_counter()) < end:
                while sent < (now - began) * RATE:
                    group.create_task(one(wait=sent % SAMPLE == 0))
                    sent += 1
                await asyncio.sleep(STEP_S)
    report(sent=sent, seen=seen)


def measure_blocking(
    enqueue: Callable[[Any], Any],
    result: Callable[[Any], float],
) -> None:
    """Measure a system with blocking calls: one caller, and four threads that wait for results."""
    if sys.argv[1] != "latency":
        payloads = [payload(number) for number in range(COUNT)]
        began = time.perf_counter()
        for each in payloads:
            enqueue(each)
        report(seconds=time.perf_counter() - began)
        return
    seen: list[float] = []

    def wait(sent: float, handle: Any) -> None:
        result(handle)
        seen.append(time.time() - sent)

    began = time.perf_counter()
    sent = 0
    with ThreadPoolExecutor(4) as pool:
        while (now := time.perf_counter()) < began + LATENCY_S:
            if not RATE:
                moment = time.time()
                wait(moment, enqueue(moment))
                sent += 1
                time.sleep(PAUSE_S)
                continue
            while sent < (now - began) * RATE:
                moment = time.time()
                handle = enqueue(moment)
                if sent % SAMPLE == 0:
                    pool.submit(wait, moment, handle)
                sent += 1
            time.sleep(STEP_S)
    report(sent=sent, seen=seen)
