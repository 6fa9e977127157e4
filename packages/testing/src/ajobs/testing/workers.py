"""Run workers inside a test and wait for the state of tasks and queues."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from ajobs.client import Client, TaskState
from ajobs.protocol.retry import linear_policy
from ajobs.worker import Router, Worker, WorkerOptions

QUICK = linear_policy(steps=1, jitter=0.1, shortest=0.001, longest=0.01)
"""A retry policy with delays of a few milliseconds."""


@asynccontextmanager
async def working(client: Client, router: Router, **options: Any) -> AsyncGenerator[Worker]:
    """Run a worker in this process until the end of the block.

    Args:
        client: A connected client.
        router: The handlers.
        options: The fields of `WorkerOptions`. The retry policy is `QUICK` by default.
    """
    options.setdefault("retry_policy", QUICK)
    async with Worker(client, router, WorkerOptions(**options)).running() as worker:
        yield worker


async def wait_state(client: Client, task_id: str, state: TaskState) -> None:
    """Wait until a task is in a state, which need not be a final one."""
    async with asyncio.timeout(30), client.watch(task_id) as events:
        while (await client.storage.tasks.load(task_id)).task.state is not state:
            await anext(events)


async def wait_items(client: Client, queue: str, count: int) -> None:
    """Wait until a queue holds that many items. It polls, because the server does not announce removed items."""
    async with asyncio.timeout(30):
        while (await client.queue_info(queue)).items != count:
            await asyncio.sleep(0.01)
