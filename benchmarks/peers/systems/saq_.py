"""SAQ: Redis; results kept."""

import os

import clock
import produce
from saq import Queue

queue = Queue.from_url(os.environ["BENCH_URL"], max_concurrent_ops=256)


async def bench(_: dict, *, payload: int) -> int:
    clock.tick()
    return payload


settings = {"queue": queue, "functions": [bench], "concurrency": int(os.environ.get("BENCH_SLOTS", "32"))}


async def main() -> None:
    await queue.connect()
    produce.report(seconds=await produce.timed(lambda n: queue.enqueue("bench", payload=n)))
    await queue.disconnect()


if __name__ == "__main__":
    produce.run(main)
