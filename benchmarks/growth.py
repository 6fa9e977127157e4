"""Measure the effect of many stored tasks, queues and sleeping handlers: ``python -m benchmarks.growth [--quick]``.

The store is filled with complete tasks. At a thousandth, a tenth and all of them, it measures enqueuing and processing
small tasks, loading tasks, and listing the first page and all tasks.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

import msgspec
from rich.console import Console

from ajobs.client import Client, Queue
from ajobs.client.storage.tasks import NEVER_STORED
from ajobs.protocol.states import TaskState
from ajobs.protocol.task import Result, Task
from ajobs.testing.nats_server import NatsServer
from ajobs.worker import Router, Share, Worker, WorkerOptions
from benchmarks.machine import peak_mib, resident_mib
from benchmarks.sizes import Sizes, sizes

QUEUE = Queue(name="BENCH", max_concurrent=2_000)
CALLERS = 64
BATCH = 500
PROBES = 3_000
"""Tasks that are enqueued, processed and loaded at each size."""
MEMORY_EVERY = 5_000
"""Listed tasks between two readings of the memory."""
NAP_S = 1.0

Figures = dict[str, float]


async def each(numbers: range, call: Callable[[int], Awaitable[object]]) -> float:
    """Make a call for each number, `CALLERS` at a time, and return the seconds that all took."""
    left = iter(numbers)

    async def caller() -> None:
        for number in left:
            await call(number)

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return time.perf_counter() - began


def router_for(count: int, nap_s: float = 0) -> tuple[Router, asyncio.Event]:
    """Return a router, and an event that is set once it has handled ``count`` tasks."""
    router, handled, left = Router(), asyncio.Event(), count

    @router.handler("bench")
    async def bench(payload: int) -> int:
        nonlocal left
        if nap_s:
            await asyncio.sleep(nap_s)
        left -= 1
        if not left:
            handled.set()
        return payload

    return router, handled


async def empty(client: Client, *names: str) -> None:
    """Wait until the queues are empty."""
    for name in names:
        while (await client.queue_info(name)).items:
            await asyncio.sleep(0.005)


async def stored(most: int, patience_s: float) -> AsyncGenerator[Figures]:
    """Fill the store, and yield the cost of each operation at three sizes, in microseconds per task."""
    async with NatsServer.run() as server, Client.connect(server.url, queue=QUEUE) as client:
        filled = 0
        for size in (most // 1000, most // 10, most):
            async with asyncio.timeout(patience_s):
                began = time.perf_counter()
                await fill(client, filled, size)
                figures = {"stored": float(size), "fill": (size - filled) / (time.perf_counter() - began)}
                figures |= await probe(client, size)
            filled = size
            yield figures | {"server memory": resident_mib(server.pid or 0)}


def task_id(number: int) -> str:
    return f"done-{number:09d}"


async def fill(client: Client, start: int, end: int) -> None:
    """Store complete tasks. A batch is in flight while the next one is prepared."""
    waiting = []
    for first in range(start, end, BATCH):
        posted = [
            client.storage.tasks.post(done(client, number), NEVER_STORED)
            for number in range(first, min(first + BATCH, end))
        ]
        await client.storage.requests.flush()
        for before in waiting:
            if await before.accepted() is None:
                raise RuntimeError("the store could not be filled")
        waiting = posted
    for before in waiting:
        await before.accepted()


def done(client: Client, number: int) -> Task:
    task = client.new_task("bench", number, task_id=task_id(number), queue=QUEUE.name)
    result = Result(payload=msgspec.Raw(b"%d" % number), completed=task.created)
    return msgspec.structs.replace(task, state=TaskState.COMPLETE, tries=1, tried=task.created, result=result)


async def probe(client: Client, size: int) -> Figures:
    """Return the cost of each operation in a store of that size, and delete the tasks that were enqueued for it."""
    probes = min(PROBES, size)
    enqueued: list[str] = []

    async def enqueue(number: int) -> None:
        enqueued.append((await client.enqueue("bench", number)).id)

    figures = {"enqueue": await each(range(probes), enqueue) / probes * 1e6}
    router, handled = router_for(probes)
    began = time.perf_counter()
    async with Worker(client, router, WorkerOptions(concurrency=128)).running():
        await handled.wait()
        await empty(client, QUEUE.name)
        figures["process"] = (time.perf_counter() - began) / probes * 1e6
    step = max(1, size // probes)
    figures["load"] = await each(range(probes), lambda n: client.load(task_id(n * step % size))) / probes * 1e6
    began = time.perf_counter()
    await client.task_page()
    figures["first page"] = (time.perf_counter() - began) * 1e3
    figures |= await list_all(client, size)
    await each(range(probes), lambda n: client.delete(enqueued[n]))
    return figures


async def list_all(client: Client, size: int) -> Figures:
    before = most = resident_mib()
    count, began = 0, time.perf_counter()
    async with aclosing(client.tasks()) as tasks:
        async for _ in tasks:
            count += 1
            if count % MEMORY_EVERY == 0:
                most = max(most, resident_mib())
    seconds = time.perf_counter() - began
    if count < size:
        raise RuntimeError(f"listed {count} of {size} tasks")
    return {"list all": count / seconds, "list all memory": most - before}


async def queues(count: int, tasks: int) -> Figures:
    """Measure one worker on many queues with equally many tasks."""
    async with NatsServer.run() as server, Client.connect(server.url, queue=QUEUE) as client:
        began = time.perf_counter()
        queues = [await client.create_queue(Queue(name=f"Q{number}")) for number in range(count)]
        created = time.perf_counter() - began
        new = [client.new_task("bench", n, queue=f"Q{n % count}") for n in range(tasks)]
        assert not (await client.enqueue_many(new)).failed
        router, handled = router_for(tasks)
        before, began = resident_mib(), time.perf_counter()
        worker = Worker(client, router, WorkerOptions(queues=[Share(queue) for queue in queues], concurrency=128))
        async with worker.running():
            started = time.perf_counter() - began
            await handled.wait()
            seconds = time.perf_counter() - began
            memory = resident_mib() - before
        return {
            "queues": count,
            "create one": created / count * 1e3,
            "start": started,
            "tasks/s": tasks / seconds,
            "memory": memory,
        }


async def sleepers(slots: int) -> Figures:
    """Measure a worker whose slots all sleep, with two tasks per slot."""
    queue = Queue(name="BENCH", max_concurrent=slots + 1_000)
    tasks = 2 * slots
    async with NatsServer.run() as server, Client.connect(server.url, queue=queue) as client:
        assert not (await client.enqueue_many(client.new_task("bench", n) for n in range(tasks))).failed
        router, handled = router_for(tasks, NAP_S)
        before, began, most = resident_mib(), time.perf_counter(), 0
        worker = Worker(client, router, WorkerOptions(concurrency=slots))
        async with worker.running():
            while not handled.is_set():
                most = max(most, len(worker.running_tasks))
                await asyncio.sleep(0.05)
            await empty(client, queue.name)
            seconds = time.perf_counter() - began
            return {
                "slots": slots,
                "seconds": seconds,
                "tasks/s": tasks / seconds,
                "at once": most,
                "memory": peak_mib() - before,
            }


async def main(measured: Sizes, console: Console) -> None:
    async for figures in stored(measured.stored, measured.patience_s * 5):
        console.print({name: round(value, 1) for name, value in figures.items()})
    console.print(await queues(measured.queues, measured.tasks))
    console.print(await sleepers(measured.sleepers))


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(sizes(quick="--quick" in sys.argv), Console()))
