"""arq: Redis; results kept."""

import os

import clock
import produce
from arq import create_pool
from arq.connections import RedisSettings

SETTINGS = RedisSettings.from_dsn(os.environ["BENCH_URL"])


async def bench(_: dict, payload: int) -> int:
    clock.tick()
    return payload


class WorkerSettings:
    functions = (bench,)
    redis_settings = SETTINGS
    max_jobs = int(os.environ.get("BENCH_SLOTS", "32"))
    poll_delay = 0.05
    log_results = False


async def main() -> None:
    pool = await create_pool(SETTINGS)
    produce.report(seconds=await produce.timed(lambda n: pool.enqueue_job("bench", n)))
    await pool.aclose()


if __name__ == "__main__":
    produce.run(main)
