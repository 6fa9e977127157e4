"""dramatiq: Redis; results kept. It is not async, so its calls are made one after another."""

import os

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
def bench(payload):
    return clock.tick(payload)


if __name__ == "__main__":
    produce.measure_blocking(
        bench.send, lambda message: message.get_result(block=True, timeout=produce.RESULT_S * 1000)
    )
