"""The options of a worker are checked when they are created."""

from __future__ import annotations

import pytest

from ajobs.protocol.errors import ConfigurationError, InvalidStateNameError, UnknownRetryPolicyError
from ajobs.protocol.queue import Queue
from ajobs.protocol.retry import ONE_HOUR
from ajobs.protocol.states import TaskState
from ajobs.worker import Share, WorkerOptions
from ajobs.worker.options import discarded_by, policy_of


def test_names_of_policies_and_states_are_looked_up():
    assert policy_of(WorkerOptions(retry_policy="1h")) is ONE_HOUR
    assert discarded_by(WorkerOptions(discard_states=("completed", TaskState.EXPIRED))) == {
        TaskState.COMPLETE,
        TaskState.EXPIRED,
    }


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"retry_policy": "x"}, UnknownRetryPolicyError, "x"),
        ({"discard_states": ("retry",)}, InvalidStateNameError, "retry"),
        ({"discard_states": ("x",)}, InvalidStateNameError, "x"),
        ({"concurrency": 0}, ConfigurationError, "concurrency 0: use 1 or more"),
        ({"grace": -1}, ConfigurationError, "invalid grace -1: must not be negative"),
        ({"queues": [Share(Queue(name="Q")), Share(Queue(name="Q"))]}, ConfigurationError, "more than once: Q"),
    ],
)
def test_invalid_options_are_refused(options, error, text):
    with pytest.raises(error, match=text):
        WorkerOptions(**options)


@pytest.mark.parametrize("share", [{"concurrency": 0}, {"weight": 0}])
def test_numbers_of_a_share_below_1_are_refused(share):
    with pytest.raises(ConfigurationError, match=f"queue Q: invalid {next(iter(share))} 0: use 1 or more"):
        Share(Queue(name="Q"), **share)
