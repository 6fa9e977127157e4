"""streaQ: Redis streams; results kept."""

import asyncio
import os

import clock
import produce
from streaq import Worker

worker = Worker(redis_url=os.environ["BENCH_URL"], concurrency=int(os.environ.get("BENCH_SLOTS", "32")))


@worker.task
async def bench(payload):
    if clock.SLEEP_S:
        await asyncio.sleep(clock.SLEEP_S)
    return clock.tick(payload)


async def main(measure):
    async with worker:

        async def enqueue(payload):
            return await bench.enqueue(payload)

        async def bulk(payloads):
            await worker.enqueue_many([bench.enqueue(each) for each in payloads])

        async def result(task):
            return (await task.result(timeout=produce.RESULT_S)).result

        await measure(enqueue, bulk, result)


if __name__ == "__main__":
    produce.run(main)
