"""Retry policies: how long a failed task waits for its next try."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from ajobs.protocol.durations import HOUR_NS, MILLISECOND_NS, MINUTE_NS, SECOND_NS
from ajobs.protocol.errors import ConfigurationError, UnknownRetryPolicyError

RandomBelow = Callable[[int], int]
"""Returns a random integer from 0 up to, not including, its argument, which is at least 1."""


class RetryPolicy(Protocol):
    """What a client can be given to decide the delays between tries."""

    def delay_ns(self, delivery: int, random_below: RandomBelow, /) -> int:
        """Return the nanoseconds until the next try, given how often the item was delivered (from 1 on)."""
        ...


class SteppedRetryPolicy(msgspec.Struct, frozen=True):
    """Delays from a list of intervals, the last one for all later tries, spread by a jitter.

    The delay for an interval is interval * jitter + random(0, interval), rounded to a millisecond.
    """

    intervals_ns: tuple[int, ...]
    jitter: float

    def delay_ns(self, delivery: int, random_below: RandomBelow, /) -> int:
        """Return the delay in nanoseconds after the given delivery; the first delivery takes the second interval."""
        interval = self.intervals_ns[min(delivery, len(self.intervals_ns) - 1)]
        delay = int(interval * self.jitter) + random_below(interval)
        return (delay + MILLISECOND_NS // 2) // MILLISECOND_NS * MILLISECOND_NS or self.intervals_ns[0]


def linear_policy(*, steps: int, jitter: float, min_ns: int, max_ns: int) -> SteppedRetryPolicy:
    """Return a policy whose interval n is ``min_ns + n * (max_ns - min_ns) / steps``.

    Raises:
        ConfigurationError: There is no step, a negative jitter, or an interval that is not positive.
    """
    low, high = min(min_ns, max_ns), max(min_ns, max_ns)
    if steps < 1 or jitter < 0 or low < 1:
        msg = f"a retry policy needs steps >= 1, jitter >= 0 and min_ns >= 1, got {steps}, {jitter} and {low}"
        raise ConfigurationError(msg)
    step = (high - low) // steps
    return SteppedRetryPolicy(tuple(low + n * step for n in range(steps)), jitter)


def exponential_policy(*, first_ns: int, max_ns: int, factor: float = 2.0, jitter: float = 0.5) -> SteppedRetryPolicy:
    """Return a policy whose intervals grow by ``factor`` from one to the next, up to ``max_ns``.

    The first try that fails waits for about ``first_ns``: between ``jitter`` and ``1 + jitter`` times that.

    Raises:
        ConfigurationError: An interval is not positive, the last is shorter than the first, the factor is not more
            than 1, or the jitter is negative.
    """
    if first_ns < 1 or max_ns < first_ns or factor <= 1 or jitter < 0:
        msg = (
            "an exponential retry policy needs 1 <= first_ns <= max_ns, factor > 1 and jitter >= 0, "
            f"got {first_ns}, {max_ns}, {factor} and {jitter}"
        )
        raise ConfigurationError(msg)
    intervals = [first_ns, first_ns]  # the one before the first delivery is never used
    while intervals[-1] < max_ns:
        intervals.append(min(max_ns, int(intervals[-1] * factor) + 1))
    return SteppedRetryPolicy(tuple(intervals), jitter)


TEN_MINUTES = linear_policy(steps=50, jitter=0.9, min_ns=MINUTE_NS, max_ns=10 * MINUTE_NS)
ONE_HOUR = linear_policy(steps=20, jitter=0.9, min_ns=10 * MINUTE_NS, max_ns=HOUR_NS)
ONE_MINUTE = linear_policy(steps=20, jitter=0.5, min_ns=SECOND_NS, max_ns=MINUTE_NS)

RETRY_POLICIES: dict[str, SteppedRetryPolicy] = {
    "default": TEN_MINUTES,
    "10m": TEN_MINUTES,
    "1h": ONE_HOUR,
    "1m": ONE_MINUTE,
}


def retry_policy(name: str) -> SteppedRetryPolicy:
    """Return the retry policy by that name.

    Raises:
        UnknownRetryPolicyError: There is none.
    """
    policy = RETRY_POLICIES.get(name)
    if policy is None:
        msg = f"unknown retry policy {name!r}: use one of {', '.join(sorted(RETRY_POLICIES))}"
        raise UnknownRetryPolicyError(msg)
    return policy
