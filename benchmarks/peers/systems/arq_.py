"""arq: Redis; results kept."""

import asyncio
import os

import clock
import produce
from arq import create_pool
from arq.connections import RedisSettings

SETTINGS = RedisSettings.from_dsn(os.environ["BENCH_URL"])


async def bench(_, payload):
    if clock.SLEEP_S:
        await asyncio.sleep(clock.SLEEP_S)
    return clock.tick(payload)


class WorkerSettings:
    functions = (bench,)
    redis_settings = SETTINGS
    max_jobs = int(os.environ.get("BENCH_SLOTS", "32"))
    # By default it polls twice per second.
    poll_delay = 0.01
    log_results = False


async def main(measure):
    pool = await create_pool(SETTINGS)
    await measure(
        lambda payload: pool.enqueue_job("bench", payload),
        None,
        lambda job: job.result(timeout=produce.RESULT_S, poll_delay=0.002),
    )
    await pool.aclose()


if __name__ == "__main__":
    produce.run(main)
