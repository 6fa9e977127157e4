"""asyncjobs: task, work item and result on JetStream files; every change announced."""

import os
import sys
import time

import clock
import produce

from asyncjobs.client import Client, Queue
from asyncjobs.worker import Router

router = Router()
QUEUE = Queue(name="BENCH", max_concurrent=2_000)


@router.handler("bench")
async def bench(payload: int) -> int:
    clock.tick()
    return payload


async def main() -> None:
    async with Client.connect(os.environ["BENCH_URL"], queue=QUEUE) as client:
        if sys.argv[1] == "bulk":
            began = time.perf_counter()
            result = await client.enqueue_many(client.new_task("bench", n) for n in range(produce.COUNT))
            assert not result.failed
            produce.report(seconds=time.perf_counter() - began)
        else:
            produce.report(seconds=await produce.timed(lambda n: client.enqueue("bench", n)))


if __name__ == "__main__":
    produce.run(main)
