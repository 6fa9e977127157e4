"""The delays of retry policies."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ajobs.protocol.durations import MILLISECOND_NS, SECOND_NS, as_ns
from ajobs.protocol.errors import ConfigurationError, UnknownRetryPolicyError
from ajobs.protocol.retry import RETRY_POLICIES, exponential_policy, linear_policy, retry_policy


@given(st.sampled_from(sorted(RETRY_POLICIES)), st.integers(1, 10_000), st.floats(0, 0.999_999))
def test_a_delay_is_the_interval_times_the_jitter_and_up_to_one_interval_more(name, delivery, luck):
    policy = RETRY_POLICIES[name]
    interval = as_ns(policy.intervals[min(delivery, len(policy.intervals) - 1)])
    delay = as_ns(policy.delay(delivery, lambda bound: int(bound * luck)))
    assert abs(delay - (interval * policy.jitter + interval * luck)) <= MILLISECOND_NS
    assert delay % MILLISECOND_NS == 0


def test_a_zero_delay_becomes_the_shortest_interval():
    policy = linear_policy(steps=2, jitter=0, shortest=1, longest=2)
    assert policy.delay(1, lambda _: 0) == timedelta(seconds=1)


def test_the_error_for_an_unknown_policy_names_the_known_ones():
    assert retry_policy("1m") is RETRY_POLICIES["1m"]
    with pytest.raises(UnknownRetryPolicyError, match=r"1h, 1m, default"):
        retry_policy("2m")


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"jitter": -1.0}, {"shortest": 0}], ids=str)
def test_a_policy_that_cannot_work_is_refused(wrong):
    with pytest.raises(ConfigurationError):
        linear_policy(**({"steps": 1, "jitter": 0.5, "shortest": 1, "longest": 2} | wrong))


@pytest.mark.parametrize(("delivery", "seconds"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (500, 10)])
def test_an_exponential_policy_grows_up_to_its_longest_interval(delivery, seconds):
    policy = exponential_policy(first=1, longest=10, factor=2, jitter=0.5)
    for luck in (0, 0.999):
        assert as_ns(policy.delay(delivery, lambda bound, luck=luck: int(bound * luck))) == pytest.approx(
            seconds * SECOND_NS * (0.5 + luck), abs=MILLISECOND_NS
        )


@pytest.mark.parametrize("wrong", [{"first": 0}, {"longest": 0.5}, {"factor": 1}, {"jitter": -1}], ids=str)
def test_an_exponential_policy_that_cannot_work_is_refused(wrong):
    with pytest.raises(ConfigurationError):
        exponential_policy(**({"first": 1, "longest": 9} | wrong))
