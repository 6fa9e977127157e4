"""Celery: Redis; results kept. It is not async, so its calls are made one after another."""

import os
import sys

import clock
import produce
from celery import Celery

app = Celery("bench", broker=os.environ["BENCH_URL"], backend=os.environ["BENCH_URL"])
app.conf.worker_prefetch_multiplier = 4


@app.task(name="bench")
def bench(payload):
    return clock.tick(payload)


if __name__ == "__main__":
    produce.measure_blocking(bench.delay, lambda result: result.get(timeout=produce.RESULT_S))
    sys.stdout.flush()
    os._exit(0)
