"""Counters and histograms for what happens with every task.

A metric of the Prometheus library takes a lock for each number that it changes, and a histogram changes two and looks
for one among its buckets: a twentieth of what a task costs a worker. Here each thread counts for itself, in plain
numbers of its own, which are added up when the metrics are read.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from threading import get_ident

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString  # pyright: ignore[reportUnknownVariableType] - untyped

_Key = tuple[int, tuple[str, ...]]
"""A thread, and the labels' values."""


class Tally(Collector):
    """A counter."""

    def __init__(self, name: str, text: str, *labels: str) -> None:
        """Register a counter by its full name, without ``_total``, with these labels."""
        self._name = name
        self._text = text
        self._labelnames = labels
        self._counts: dict[_Key, int] = {}
        REGISTRY.register(self)

    def inc(self, *labels: str) -> None:
        """Count one more for the labels' values."""
        key = (get_ident(), labels)
        self._counts[key] = self._counts.get(key, 0) + 1

    def describe(self) -> Iterator[CounterMetricFamily]:
        """Name the metric, for the registry."""
        yield CounterMetricFamily(self._name, self._text, labels=self._labelnames)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Add up what all threads counted."""
        sums: dict[tuple[str, ...], int] = {}
        for (_, labels), count in list(self._counts.items()):
            sums[labels] = sums.get(labels, 0) + count
        family = CounterMetricFamily(self._name, self._text, labels=self._labelnames)
        for labels, count in sums.items():
            family.add_metric(labels, count)
        yield family


class Distribution(Collector):
    """A histogram."""

    def __init__(self, name: str, text: str, *labels: str, buckets: Sequence[float]) -> None:
        """Register a histogram by its full name with these labels; ``buckets`` are upper bounds, rising."""
        self._name = name
        self._text = text
        self._labelnames = labels
        self._buckets = tuple(buckets)
        self._bounds = [*(str(floatToGoString(bound)) for bound in self._buckets), "+Inf"]
        # How many values fell into each bucket, and behind them their sum.
        self._counts: dict[_Key, list[float]] = {}
        REGISTRY.register(self)

    def observe(self, value: float, *labels: str) -> None:
        """Count a value for the labels' values."""
        key = (get_ident(), labels)
        counts = self._counts.get(key)
        if counts is None:
            counts = self._counts[key] = [0.0] * (len(self._bounds) + 1)
        counts[bisect_left(self._buckets, value)] += 1
        counts[-1] += value

    def describe(self) -> Iterator[HistogramMetricFamily]:
        """Name the metric, for the registry."""
        yield HistogramMetricFamily(self._name, self._text, labels=self._labelnames)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Add up what all threads counted."""
        sums: dict[tuple[str, ...], list[float]] = {}
        for (_, labels), counts in list(self._counts.items()):
            before = sums.get(labels)
            sums[labels] = list(counts) if before is None else list(map(float.__add__, before, counts))
        family = HistogramMetricFamily(self._name, self._text, labels=self._labelnames)
        for labels, (*counts, total) in sums.items():
            family.add_metric(labels, list(zip(self._bounds, _running_totals(counts), strict=True)), total)
        yield family


def _running_totals(counts: Sequence[float]) -> Iterator[float]:
    total = 0.0
    for count in counts:
        total += count
        yield total
