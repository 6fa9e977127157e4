"""Retry policies: how long a failed task waits for its next try."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

import msgspec

from ajobs.protocol.durations import MILLISECOND_NS, Duration, as_ns, from_ns
from ajobs.protocol.errors import ConfigurationError, UnknownRetryPolicyError

RandomBelow = Callable[[int], int]
"""Returns a random integer from 0 up to, not including, its argument, which is at least 1."""


class RetryPolicy(Protocol):
    """Decides the delays between tries. Any object with this method can be a client's or a route's ``retry_policy``."""

    def delay(self, delivery: int, random_below: RandomBelow, /) -> Duration:
        """Return the delay before the next try, given how often the item was delivered (from 1 on)."""
        ...


class SteppedRetryPolicy(msgspec.Struct, frozen=True):
    """Delays from a list of intervals, the last one for all later tries, spread by a jitter.

    The delay for an interval is interval * jitter + random(0, interval), rounded to a millisecond, as in Choria Async
    Jobs.
    """

    intervals: tuple[timedelta, ...]
    jitter: float

    def delay(self, delivery: int, random_below: RandomBelow, /) -> timedelta:
        """Return the delay after the given delivery; the first delivery takes the second interval."""
        interval_ns = as_ns(self.intervals[min(delivery, len(self.intervals) - 1)])
        delay_ns = int(interval_ns * self.jitter) + random_below(interval_ns)
        rounded_ns = (delay_ns + MILLISECOND_NS // 2) // MILLISECOND_NS * MILLISECOND_NS
        return from_ns(rounded_ns) or self.intervals[0]


def linear_policy(*, steps: int, jitter: float, shortest: Duration, longest: Duration) -> SteppedRetryPolicy:
    """Return a policy whose interval n is ``shortest + n * (longest - shortest) / steps``.

    Args:
        steps: How many intervals there are.
        jitter: The part of an interval that is always waited; up to one whole interval comes on top.
        shortest: The first interval.
        longest: The interval that the last one comes close to.

    Raises:
        InvalidDurationError: An interval is not a duration.
        ConfigurationError: ``steps`` is below 1, the jitter is negative, or an interval is not positive.
    """
    ends = as_ns(shortest, "shortest", positive=True), as_ns(longest, "longest", positive=True)
    _check_jitter(jitter)
    if steps < 1:
        raise ConfigurationError(f"invalid steps {steps}: use 1 or more")
    low_ns, high_ns = min(ends), max(ends)
    step_ns = (high_ns - low_ns) // steps
    return SteppedRetryPolicy(tuple(from_ns(low_ns + n * step_ns) for n in range(steps)), jitter)


def exponential_policy(
    *, first: Duration, longest: Duration, factor: float = 2.0, jitter: float = 0.5
) -> SteppedRetryPolicy:
    """Return a policy whose intervals grow by ``factor`` from one to the next, up to ``longest``.

    The delay after the first failed try is between ``jitter`` and ``1 + jitter`` times ``first``.

    Raises:
        InvalidDurationError: An interval is not a duration.
        ConfigurationError: An interval is not positive, ``longest`` is shorter than ``first``, the factor is not
            greater than 1, or the jitter is negative.
    """
    first_ns, longest_ns = as_ns(first, "first", positive=True), as_ns(longest, "longest", positive=True)
    _check_jitter(jitter)
    if longest_ns < first_ns:
        raise ConfigurationError(f"invalid longest {longest!r}: must not be shorter than first, which is {first!r}")
    if factor <= 1:
        raise ConfigurationError(f"invalid factor {factor}: must be greater than 1")
    intervals_ns = [first_ns, first_ns]  # no delivery uses the first interval
    while intervals_ns[-1] < longest_ns:
        intervals_ns.append(min(longest_ns, int(intervals_ns[-1] * factor) + 1))
    return SteppedRetryPolicy(tuple(map(from_ns, intervals_ns)), jitter)


def _check_jitter(jitter: float) -> None:
    if jitter < 0:
        raise ConfigurationError(f"invalid jitter {jitter}: must not be negative")


TEN_MINUTES = linear_policy(steps=50, jitter=0.9, shortest="1m", longest="10m")
ONE_HOUR = linear_policy(steps=20, jitter=0.9, shortest="10m", longest="1h")
ONE_MINUTE = linear_policy(steps=20, jitter=0.5, shortest="1s", longest="1m")

RETRY_POLICIES: dict[str, SteppedRetryPolicy] = {
    "default": TEN_MINUTES,
    "10m": TEN_MINUTES,
    "1h": ONE_HOUR,
    "1m": ONE_MINUTE,
}


def retry_policy(name: str) -> SteppedRetryPolicy:
    """Look up a retry policy.

    Raises:
        UnknownRetryPolicyError: The name is unknown.
    """
    policy = RETRY_POLICIES.get(name)
    if policy is None:
        msg = f"unknown retry policy {name!r}: use one of {', '.join(sorted(RETRY_POLICIES))}"
        raise UnknownRetryPolicyError(msg)
    return policy
