"""dramatiq: Redis; results kept. It is not async: its calls are made one after the other."""

import os
import time

import clock
import dramatiq
import produce
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

broker = RedisBroker(url=os.environ["BENCH_URL"])
broker.add_middleware(Results(backend=RedisBackend(url=os.environ["BENCH_URL"])))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def bench(payload: int) -> int:
    clock.tick()
    return payload


if __name__ == "__main__":
    began = time.perf_counter()
    for number in range(produce.COUNT):
        bench.send(number)
    produce.report(seconds=time.perf_counter() - began)
