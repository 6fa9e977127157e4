"""A cluster of three servers loses nothing when one of them fails."""

from __future__ import annotations

import asyncio
from collections import Counter

from ajobs.client import Client, Queue, TaskState
from ajobs.testing.clusters import cluster
from ajobs.testing.workers import working
from ajobs.worker import Router

TASKS = 600
QUEUE = Queue(name="Q", max_run_time=5)


async def leader_of(client: Client, stream: str) -> str:
    info = await client.storage.jetstream.ask(f"STREAM.INFO.{stream}")
    return info["cluster"]["leader"]


async def test_no_task_is_lost_when_the_leading_server_is_killed_and_restarted():
    router = Router()
    router.add("double", lambda payload: payload * 2)
    async with cluster(3) as nodes:
        urls = [node.url for node in nodes.values()]
        settings = {"queue": QUEUE, "replicas": 3, "request_timeout": 1}
        async with Client.connect(urls, **settings) as producer, Client.connect(urls, **settings) as consumer:
            info = await producer.storage.jetstream.ask("STREAM.INFO.CHORIA_AJ_TASKS")
            assert info["config"]["num_replicas"] == 3
            async with working(consumer, router, concurrency=16):
                many = asyncio.create_task(
                    producer.enqueue_many((producer.new_task("double", n) for n in range(TASKS)), window=32)
                )
                while (await producer.store_info()).tasks < TASKS // 4:
                    await asyncio.sleep(0)
                node = nodes[await leader_of(producer, "CHORIA_AJ_TASKS")]
                node.kill()
                result = await many
                assert result.failed == []
                await node.start()
                results = [await producer.result(task.id, timeout=90) for task in result.enqueued]
            assert results == [2 * n for n in range(TASKS)]
            states = Counter([task.state async for task in producer.tasks()])
            assert states == {TaskState.COMPLETE: TASKS}
            assert (await producer.queue_info()).items == 0
