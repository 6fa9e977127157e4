"""Celery: Redis; results kept. It is not async: its calls are made one after the other."""

import os
import sys
import time

import clock
import produce
from celery import Celery

app = Celery("bench", broker=os.environ["BENCH_URL"], backend=os.environ["BENCH_URL"])
app.conf.worker_prefetch_multiplier = 4


@app.task(name="bench")
def bench(payload: int) -> int:
    clock.tick()
    return payload


if __name__ == "__main__":
    began = time.perf_counter()
    for number in range(produce.COUNT):
        bench.delay(number)
    produce.report(seconds=time.perf_counter() - began)
    sys.stdout.flush()
    os._exit(0)
