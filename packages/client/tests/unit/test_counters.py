"""Metrics that each thread counts for itself."""

from threading import Thread

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Histogram, generate_latest

from ajobs.client.observability.counters import Distribution, Tally

BUCKETS = (0.1, 1, 2.5)
VALUES = (0.0, 0.1, 0.2, 1.0, 2.4, 2.6, 1000.0)


@pytest.fixture
def registered():
    made = []
    yield made.append
    for metric in made:
        REGISTRY.unregister(metric)


def test_a_tally_sums_the_counts_of_all_threads(registered):
    tally = Tally("test_done", "What was done", "queue")
    registered(tally)

    def count() -> None:
        for _ in range(1_000):
            tally.inc("A")
        tally.inc("B")

    threads = [Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert REGISTRY.get_sample_value("test_done_total", {"queue": "A"}) == 4_000
    assert REGISTRY.get_sample_value("test_done_total", {"queue": "B"}) == 4
    assert REGISTRY.get_sample_value("test_done_total", {"queue": "C"}) is None


def test_a_distribution_exports_the_same_as_the_librarys_histogram(registered):
    ours = Distribution("test_seconds", "How long it took", "queue", buckets=BUCKETS)
    registered(ours)
    registry = CollectorRegistry()
    theirs = Histogram("test_seconds", "How long it took", ("queue",), registry=registry, buckets=BUCKETS)
    for value in VALUES:
        ours.observe(value, "A")
        theirs.labels("A").observe(value)
    shown = CollectorRegistry()
    shown.register(ours)
    expected = [line for line in generate_latest(registry).splitlines() if b"_created" not in line]
    assert generate_latest(shown).splitlines() == expected


def test_a_distribution_sums_the_counts_of_all_threads(registered):
    distribution = Distribution("test_spread", "How far", "queue", buckets=BUCKETS)
    registered(distribution)
    threads = [Thread(target=distribution.observe, args=(0.5, "A")) for _ in range(3)]
    for thread in threads:
        thread.start()
        thread.join()
    assert REGISTRY.get_sample_value("test_spread_count", {"queue": "A"}) == 3
    assert REGISTRY.get_sample_value("test_spread_sum", {"queue": "A"}) == 1.5
    assert REGISTRY.get_sample_value("test_spread_bucket", {"queue": "A", "le": "0.1"}) == 0
    assert REGISTRY.get_sample_value("test_spread_bucket", {"queue": "A", "le": "1.0"}) == 3
