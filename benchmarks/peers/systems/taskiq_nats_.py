"""taskiq-nats: a pull consumer on JetStream; results, where asked for, in a NATS object store."""

import asyncio
import os

import clock
import produce
from taskiq_nats import NATSObjectStoreResultBackend, PullBasedJetStreamBroker

URL = os.environ["BENCH_URL"]
WITH_RESULTS = os.environ.get("BENCH_RESULTS") == "yes"
# By default it fetches one message at a time. Many at a time are faster, but fewer than that wait for the time-out, so
# where the time of each task counts the default is better.
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
        # It has no call for many; waiting for several at a time is what it offers.
        for start in range(0, len(payloads), 500):
            await asyncio.gather(*(bench.kiq(each) for each in payloads[start : start + 500]))

    async def result(task):
        # Its default is to look five times a second.
        return (await task.wait_result(check_interval=0.002)).return_value

    await measure(bench.kiq, bulk, result if WITH_RESULTS else None)
    await broker.shutdown()


if __name__ == "__main__":
    produce.run(main)
