"""taskiq-nats: a pull consumer on JetStream; results, where asked for, in a NATS object store."""

import os
import sys
import time

import clock
import produce
from taskiq_nats import NATSObjectStoreResultBackend, PullBasedJetStreamBroker

URL = os.environ["BENCH_URL"]
broker = PullBasedJetStreamBroker(servers=[URL], queue="bench")
if os.environ.get("BENCH_RESULTS") == "yes":
    broker = broker.with_result_backend(NATSObjectStoreResultBackend(servers=[URL]))


@broker.task(task_name="bench")
async def bench(payload: int) -> int:
    clock.tick()
    return payload


async def main() -> None:
    await broker.startup()
    if sys.argv[1] == "bulk":
        import asyncio

        began = time.perf_counter()
        for start in range(0, produce.COUNT, 500):
            await asyncio.gather(*(bench.kiq(n) for n in range(start, min(start + 500, produce.COUNT))))
        produce.report(seconds=time.perf_counter() - began)
    else:
        produce.report(seconds=await produce.timed(bench.kiq))
    await broker.shutdown()


if __name__ == "__main__":
    produce.run(main)
