"""streaQ: Redis streams; results kept."""

import os
import sys
import time

import clock
import produce
from streaq import Worker

worker = Worker(redis_url=os.environ["BENCH_URL"], concurrency=int(os.environ.get("BENCH_SLOTS", "32")))


@worker.task
async def bench(payload: int) -> int:
    clock.tick()
    return payload


async def main() -> None:
    async with worker:
        if sys.argv[1] == "bulk":
            began = time.perf_counter()
            await worker.enqueue_many([bench.enqueue(n) for n in range(produce.COUNT)])
            produce.report(seconds=time.perf_counter() - began)
        else:

            async def one(number: int) -> None:
                await bench.enqueue(number)

            produce.report(seconds=await produce.timed(one))


if __name__ == "__main__":
    produce.run(main)
