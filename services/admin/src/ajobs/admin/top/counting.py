"""Counts over a window of time, in bounded memory. The time is an argument of each call."""

from __future__ import annotations

from collections import deque


class Buckets:
    """Counts in buckets of ``span_s`` seconds, the last ``size`` of them. Times are monotonic seconds."""

    def __init__(self, now_s: float, *, span_s: float = 1.0, size: int = 120) -> None:
        """Start to count at ``now_s``."""
        self._span_s = span_s
        self._counts = [0] * size
        self._head = int(now_s // span_s)
        self._born_s = now_s

    def add(self, now_s: float, count: int = 1) -> None:
        """Add to the current bucket."""
        self._advance(now_s)
        self._counts[self._head % len(self._counts)] += count

    def total(self, now_s: float) -> int:
        """Return the sum over the window."""
        self._advance(now_s)
        return sum(self._counts)

    def series(self, now_s: float, length: int) -> list[int]:
        """Return the last ``length`` complete buckets, oldest first; zeros before the start."""
        self._advance(now_s)
        size = len(self._counts)
        length = min(length, size - 1)
        return [self._counts[(self._head - back) % size] for back in range(length, 0, -1)]

    def per_second(self, now_s: float, over_s: float) -> float:
        """Return the average of the last ``over_s`` seconds, or of the time since the start if that is shorter."""
        whole = max(1, round(over_s / self._span_s))
        lived_s = now_s - self._born_s
        if lived_s >= (whole + 1) * self._span_s:
            return sum(self.series(now_s, whole)) / (min(whole, len(self._counts) - 1) * self._span_s)
        # The requested window has not passed yet: use everything so far, including the current bucket.
        return self.total(now_s) / max(lived_s, self._span_s)

    def _advance(self, now_s: float) -> None:
        head = int(now_s // self._span_s)
        size = len(self._counts)
        for index in range(self._head + 1, min(head, self._head + size) + 1):
            self._counts[index % size] = 0
        self._head = max(head, self._head)


class Durations:
    """The latest run times, at most ``most`` of them and none older than ``window_s`` seconds."""

    def __init__(self, *, most: int = 512, window_s: float = 300.0) -> None:
        """Start empty."""
        self._latest: deque[tuple[float, float]] = deque(maxlen=most)
        self._window_s = window_s

    def add(self, now_s: float, duration_s: float) -> None:
        """Add a run that ended now."""
        self._latest.append((now_s, duration_s))

    def percentiles(self, now_s: float, *quantiles: float) -> list[float] | None:
        """Return percentiles of the run times by the nearest-rank method; ``None`` without runs."""
        while self._latest and self._latest[0][0] < now_s - self._window_s:
            self._latest.popleft()
        ordered = sorted(duration for _, duration in self._latest)
        if not ordered:
            return None
        return [ordered[max(0, -(-int(quantile * 1_000) * len(ordered) // 1_000) - 1)] for quantile in quantiles]
