"""taskiq-nats: a pull consumer on JetStream; optional results in a NATS object store."""

import asyncio
import os

import clock
import produce
from taskiq_nats import NATSObjectStoreResultBackend, PullBasedJetStreamBroker

URL = os.environ["BENCH_URL"]
WITH_RESULTS = os.environ.get("BENCH_RESULTS") == "yes"
# By default it fetches one message at a time. Batches are faster, but an incomplete batch waits for the timeout, so the
# default is better for latencies.
ONE_BY_ONE = os.environ.get("BENCH_ONE_BY_ONE") == "yes"
FETCH = {} if ONE_BY_ONE else {"pull_consume_batch": 100, "pull_consume_timeout": 0.1}
broker = PullBasedJetStreamBroker(servers=[URL], queue="bench", **FETCH)
if WITH_RESULTS:
    broker = broker.with_result_backend(NATSObjectStoreResultBackend(servers=[URL]))


@broker.task(task_name="bench")
async def bench(payload):
    if clock.SLEEP_S:
        await asyncio.sleep(clock.SLEEP_S)
    return clock.tick(payload)


async def main(measure):
    await broker.startup()

    async def bulk(payloads):
        # The library has no bulk call, so enqueue concurrently.
        for start in range(0, len(payloads), 500):
            await asyncio.gather(*(bench.kiq(each) for each in payloads[start : start + 500]))

    async def result(task):
        # By default it polls five times per second.
        return (await task.wait_result(check_interval=0.002)).return_value

    await measure(bench.kiq, bulk, result if WITH_RESULTS else None)
    await broker.shutdown()


if __name__ == "__main__":
    produce.run(main)
