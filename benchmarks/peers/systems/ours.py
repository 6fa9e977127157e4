"""ajobs: task, work item and result in JetStream file storage; an event for every change."""

import asyncio
import os

import clock
import produce

from ajobs.client import Client, Queue
from ajobs.worker import Router

router = Router()
QUEUE = Queue(name="BENCH", max_concurrent=4_000)


@router.handler("bench")
async def bench(payload):
    if clock.SLEEP_S:
        await asyncio.sleep(clock.SLEEP_S)
    return clock.tick(payload)


async def main(measure):
    async with Client.connect(os.environ["BENCH_URL"], queue=QUEUE) as client:

        async def bulk(payloads):
            result = await client.enqueue_many(client.new_task("bench", each) for each in payloads)
            assert not result.failed

        await measure(
            lambda payload: client.enqueue("bench", payload),
            bulk,
            lambda task: client.result(task.id, float),
        )


if __name__ == "__main__":
    produce.run(main)
