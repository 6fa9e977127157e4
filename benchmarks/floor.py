"""Compare ajobs with a bare loop that does the same NATS operations and nothing else: ``make bench-floor``.

Both run in this process against a nats-server with file storage, in alternating rounds. The bare loop sends the same
messages and requests over the same kind of reply inbox, with prepared bytes. It encodes no documents, makes no
decisions, runs no handlers, repeats nothing and counts no metrics.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg
from rich.console import Console
from rich.table import Table

from ajobs.client import Client, Queue
from ajobs.protocol.subjects import (
    QUEUE_CONSUMER,
    TASKS_STREAM,
    item_subject,
    queue_stream,
    task_state_subject,
    task_subject,
)
from ajobs.testing.nats_server import NatsServer
from ajobs.worker import Router, Worker, WorkerOptions
from benchmarks.sizes import sizes

TASKS = sizes(quick="--quick" in sys.argv).tasks
CALLERS = 64
SLOTS = (32, 128)
ROUNDS = 5
PATIENCE_S = 120
ROUND_TRIPS = 300
PAUSE_S = 0.005
QUEUE = Queue(name="BENCH", max_concurrent=2_000)
DOCUMENT = b'{"id":"' + b"x" * 290 + b'"}'

Rates = dict[str, float]


async def rate(count: int, callers: int, call: Callable[[int], Awaitable[object]]) -> float:
    """Make ``count`` calls, ``callers`` at a time, and return the calls per second."""
    numbers = iter(range(count))

    async def caller() -> None:
        for number in numbers:
            await call(number)

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return count / (time.perf_counter() - began)


class Bare:
    """The operations with the NATS library alone."""

    def __init__(self, nats: NatsClient) -> None:
        self._nats = nats
        self._inbox = nats.new_inbox()
        self._waiting: dict[str, asyncio.Future[Msg]] = {}
        self._sent = 0

    async def open(self) -> None:
        await self._nats.subscribe(f"{self._inbox}.*", cb=self._receive)  # pyright: ignore[reportUnknownMemberType]

    async def _receive(self, message: Msg) -> None:
        self._waiting.pop(message.subject).set_result(message)

    async def _request(self, subject: str, data: bytes, headers: dict[str, str] | None = None) -> Msg:
        self._sent += 1
        reply = f"{self._inbox}.{self._sent}"
        future = self._waiting[reply] = asyncio.get_running_loop().create_future()
        await self._nats.publish(subject, data, reply, headers)
        return await future

    async def _save(self, task_id: str, revision: str) -> str:
        headers = {"Nats-Expected-Last-Subject-Sequence": revision}
        ack = await self._request(task_subject(task_id), DOCUMENT, headers)
        await self._nats.publish(task_state_subject(task_id), DOCUMENT[:250])
        return ack.data.rpartition(b'"seq":')[2].strip(b" }").decode()

    async def publish(self, task_id: str) -> None:
        """Store a message and wait for the server's acknowledgement."""
        await self._request(task_subject(task_id), DOCUMENT, {"Nats-Expected-Last-Subject-Sequence": "0"})

    async def enqueue(self, number: int) -> None:
        task_id = f"bare-{number}"
        await self._save(task_id, "0")
        item = b'{"kind":0,"job":"%b"}' % task_id.encode()
        await self._request(item_subject(QUEUE.name, task_id), item, {"Nats-Msg-Id": task_id})

    async def process(self, slots: int) -> float:
        items: asyncio.Queue[Msg] = asyncio.Queue()

        async def put(message: Msg) -> None:
            items.put_nowait(message)

        async def one(_: int) -> None:
            item = await items.get()
            task_id = item.subject.rpartition(".")[2]
            stored = await self._request(f"$JS.API.DIRECT.GET.{TASKS_STREAM}.{task_subject(task_id)}", b"")
            revision = await self._save(task_id, (stored.headers or {})["Nats-Sequence"])
            await self._save(task_id, revision)
            await self._nats.publish(item.reply, b"+ACK")

        inbox = self._nats.new_inbox()
        subscription = await self._nats.subscribe(inbox, cb=put)  # pyright: ignore[reportUnknownMemberType]
        pull = f"$JS.API.CONSUMER.MSG.NEXT.{queue_stream(QUEUE.name)}.{QUEUE_CONSUMER}"
        await self._nats.publish(pull, b'{"batch":%d,"expires":60000000000}' % TASKS, inbox)
        measured = await rate(TASKS, slots, one)
        await subscription.unsubscribe()
        return measured


async def bare(url: str) -> Rates:
    """Measure the bare loop."""
    async with Client.connect(url, queue=QUEUE) as client:
        loop = Bare(client.storage.connection.nats)
        await loop.open()
        rates: Rates = {}
        for slots in SLOTS:
            rates["enqueue"] = await rate(TASKS, CALLERS, loop.enqueue)
            rates[f"process, {slots} slots"] = await loop.process(slots)
            await client.storage.connection.nats.jetstream().purge_stream(TASKS_STREAM)
            await client.purge_queue(QUEUE.name)
            await _forget_message_ids(client)
        return rates


async def _forget_message_ids(client: Client) -> None:
    """Create the queue again, because it would treat the ids of the next round as duplicates."""
    await client.delete_queue(QUEUE.name)
    await client.create_queue(QUEUE)


async def ours(url: str) -> Rates:
    """Measure the client and the worker."""
    rates: Rates = {}
    for slots in SLOTS:
        async with Client.connect(url, queue=QUEUE) as client:

            async def enqueue(number: int, client: Client = client) -> None:
                await client.enqueue("bench", number)

            rates["enqueue"] = await rate(TASKS, CALLERS, enqueue)
            rates[f"process, {slots} slots"] = await _process(client, slots)
    return rates


async def _process(client: Client, slots: int) -> float:
    router = Router()
    left = TASKS
    handled = asyncio.Event()

    @router.handler("bench")
    async def count(payload: int) -> int:  # pyright: ignore[reportUnusedFunction] - registered
        nonlocal left
        left -= 1
        if left == 0:
            handled.set()
        return payload

    began = time.perf_counter()
    async with Worker(client, router, WorkerOptions(concurrency=slots)).running():
        await handled.wait()
        while (await client.queue_info()).items:
            await asyncio.sleep(0.001)
        return TASKS / (time.perf_counter() - began)


async def round_trips(url: str) -> dict[str, float]:
    """Return how many milliseconds a publish to a stream takes on an idle server."""
    async with Client.connect(url, queue=QUEUE) as client:
        loop = Bare(client.storage.connection.nats)
        await loop.open()
        times_ms: list[float] = []
        for number in range(ROUND_TRIPS):
            began = time.perf_counter()
            await loop.publish(f"trip-{number}")
            times_ms.append((time.perf_counter() - began) * 1e3)
            await asyncio.sleep(PAUSE_S)
        cuts = statistics.quantiles(times_ms, n=100)
        return {"round trip p50": cuts[49], "round trip p99": cuts[98]}


async def one_round() -> tuple[Rates, Rates]:
    """Measure the bare loop and ajobs, each with its own server."""
    measured: list[Rates] = []
    for measure in (bare, ours):
        async with asyncio.timeout(PATIENCE_S), NatsServer.run() as server:
            measured.append(await measure(server.url))
    return measured[0], measured[1]


async def main(console: Console) -> None:
    """Measure both in alternating rounds, and print the medians and their ratio."""
    rounds: list[tuple[Rates, Rates]] = []
    for number in range(ROUNDS):
        console.print(f"round {number + 1} of {ROUNDS}", style="dim")
        rounds.append(await one_round())
    table = Table("tasks/s", "bare loop", "ajobs", "ratio", "lowest to highest ratio")
    for name in rounds[0][0]:
        pairs = [(floor[name], own[name]) for floor, own in rounds]
        ratios = sorted(own / floor for floor, own in pairs)
        table.add_row(
            name,
            f"{statistics.median(floor for floor, _ in pairs):,.0f}",
            f"{statistics.median(own for _, own in pairs):,.0f}",
            f"{statistics.median(ratios):.2f}",
            f"{ratios[0]:.2f} to {ratios[-1]:.2f}",
        )
    console.print(table)


if __name__ == "__main__":
    if "--asyncio" in sys.argv:
        asyncio.run(main(Console()))
    else:
        import uvloop

        uvloop.run(main(Console()))
