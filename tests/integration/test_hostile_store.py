"""Whatever anyone stores or publishes, our processes neither exit nor reconnect nor send what it says."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import nats
import pytest

from ajobs.client import Client
from ajobs.client.storage.workers import workers_bucket
from ajobs.scheduler.scheduler import Scheduler
from ajobs.testing.workers import working
from ajobs.worker import Router
from services.scheduler.tests.integration.kit import leading
from tests.fuzz import inputs

TIMES = 40
HEADERS = [
    b"NATS/1.0\r\nNats-Sequence: abc\r\n\r\n",
    b"NATS/1.0\r\nNats-Sequence: 1\r\nNats-Num-Pending: x\r\n\r\n",
    b"NATS/1.0\r\n\xff\xfe: \xff\r\n\r\n",
    b"NATS/1.0 503 No Responders\r\n\r\n",
    b"NATS/1.0\r\n: \r\nno colon\r\n\r\n",
    b"NATS/1.0\r\nNats-Pending-Messages: -1\r\nStatus: 404\r\n\r\n",
    b"NATS/1.0\r\nA: b\nPUB unintended 1\r\n\r\n",
    b"",
]
UNINTENDED = "unintended"


INJECTED = f"x 0\r\n\r\nPUB {UNINTENDED} 0\r\n\r\n"
NAMES = [INJECTED, "a" * 4_200, " x", "a.>"]


def hostile(valid: dict[str, Any], source: random.Random) -> bytes:
    """Return a document as bytes: with one hostile name in its place, or with several parts of any kind."""
    document = dict(valid)
    if source.random() < 0.6:
        key = source.choice([key for key, value in valid.items() if isinstance(value, str | list)])
        name = source.choice(NAMES)
        document[key] = [name] if isinstance(valid[key], list) else name
        return json.dumps(document).encode()
    for key in source.sample([*valid], source.randint(1, min(3, len(valid)))):
        text = "".join(source.choices(inputs.PIECES, k=source.randint(1, 3)))
        document[key] = source.choice([text, [text] * 3, -1, 2**64, None, {text: text}, [], ""])
    data = json.dumps(document).encode("utf-8", "surrogatepass")
    return data if source.random() < 0.8 else data.replace(b'"', b"\xff", 1)


@pytest.mark.parametrize("seed", range(2))
async def test_nothing_that_is_stored_ends_a_connection(server, seed):
    source = random.Random(seed)
    router = Router()
    router.add("t", lambda: "ran")
    unintended: list[bytes] = []

    async def note(message: Any) -> None:
        unintended.append(message.data)

    listener = await nats.connect(server.url)
    await listener.subscribe(UNINTENDED, cb=note)
    async with (
        Client.connect(server.url, queue="Q") as stranger,
        Client.connect(server.url, queue="Q") as consumer,
        Client.connect(server.url, queue="Q") as reader,
        Client.connect(server.url, queue="Q") as leader,
        reader.watch() as events,
        working(consumer, router),
        Scheduler(leader, "one").running() as scheduler,
    ):
        await workers_bucket(stranger.storage, stranger.options, create=True)
        await leading(scheduler)
        requests = stranger.storage.requests

        def send(subject: str, data: bytes) -> None:
            requests.send(subject, data, headers=source.choice(HEADERS))

        for number in range(TIMES):
            name = f"a{number}"
            task = inputs.TASK | {"id": name, "type": "t", "state": source.choice(["new", "blocked"])}
            send(f"CHORIA_AJ.T.{name}", hostile(task, source))
            send(f"CHORIA_AJ.Q.Q.{name}", hostile(inputs.ITEM, source))
            send(f"CHORIA_AJ.Q.Q.b{number}", json.dumps({"kind": 0, "job": name}).encode())
            send(f"$KV.CHORIA_AJ_CONFIGURATION.scheduled_tasks.{name}", hostile(inputs.SCHEDULE, source))
            send(f"$KV.CHORIA_AJ_WORKERS.{name}", hostile(inputs.WORKER, source))
            send(f"CHORIA_AJ.E.task_state.{name}", hostile(inputs.EVENT, source))
            send(f"$KV.CHORIA_AJ_CONFIGURATION.asyncjobs.schedule_options.{name}", hostile(inputs.OPTIONS, source))
            send(f"$KV.CHORIA_AJ_ELECTIONS.{name}", hostile(inputs.LEADER, source))
        await requests.flush()
        fine = await reader.enqueue("t")
        assert await reader.result(fine.id, timeout=30) == "ran"
        await reader.schedules.create("fine", "@every 1s", "t", queue="Q")
        async with reader.watch() as changes, asyncio.timeout(30):
            await anext(event async for event in changes if getattr(event, "queue", "") == "Q")
        assert [task.id async for task in reader.tasks()]
        await reader.workers()
        await reader.leaders()
        assert events.unreadable > 0
        for client in (stranger, consumer, reader, leader):
            assert client.storage.connection.nats.stats["reconnects"] == 0
            assert client.storage.connection.is_connected
    await listener.flush()
    await listener.close()
    assert unintended == []
