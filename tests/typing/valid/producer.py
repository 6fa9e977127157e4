"""A producer uses the async client."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

import msgspec

from ajobs.client import BulkResult, Client, Once, Queue, QueueInfo, Task, TaskFailedError, TaskPage, TaskState


class Report(msgspec.Struct):
    pages: int


async def produce() -> None:
    async with Client.connect("nats://127.0.0.1:4222", queue="EMAIL", replicas=3) as client:
        assert_type(client, Client)
        task = await client.enqueue("email:new", {"to": "ann@example.net"}, deadline=timedelta(hours=1))
        assert_type(task, Task)
        assert_type(await client.result(task.id, Report, timeout=30), Report)
        assert_type(await client.result(task.id), Any)
        await client.enqueue(client.new_task("t", depends_on=[task, "other"]), require_queue=True)
        assert_type(await client.enqueue_many(client.new_task("t", n) for n in range(3)), BulkResult)
        assert_type(await client.enqueue_once("order-7", "t", 1, max_tries=3), Once)
        assert_type(await client.queue_info(), QueueInfo)
        await client.ensure_queue(Queue(name="OTHER"))


async def look(client: Client) -> TaskState:
    async for task in client.tasks(states="new,retry", queue=["A", "B"], created_since="7d", error="refused"):
        assert_type(task, Task)
    page = await client.task_page(10, states={TaskState.EXPIRED}, created_before=datetime.now(UTC))
    assert_type(page, TaskPage)
    try:
        task = await client.wait(page.tasks[0].id)
    except TaskFailedError as error:
        return TaskState(error.state)
    return task.state
