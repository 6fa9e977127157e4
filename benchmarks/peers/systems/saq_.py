"""SAQ: Redis; results kept."""

import asyncio
import os
from contextlib import suppress

import clock
import produce
from saq import Queue

queue = Queue.from_url(os.environ["BENCH_URL"], max_concurrent_ops=256)


async def bench(_, *, payload):
    if clock.SLEEP_S:
        await asyncio.sleep(clock.SLEEP_S)
    return clock.tick(payload)


settings = {"queue": queue, "functions": [bench], "concurrency": int(os.environ.get("BENCH_SLOTS", "32"))}


async def main(measure):
    await queue.connect()

    async def result(job):
        # The library misses a job that ends between its check and its subscription, so check again soon.
        while not job.completed:
            with suppress(TimeoutError):
                await job.refresh(until_complete=0.05)
        return job.result

    await measure(lambda payload: queue.enqueue("bench", payload=payload), None, result)
    await queue.disconnect()


if __name__ == "__main__":
    produce.run(main)
