"""The options of a worker, and of each of its queues."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ajobs.protocol.durations import Duration, as_ns
from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.queue import Queue
from ajobs.protocol.retry import RetryPolicy, retry_policy
from ajobs.protocol.states import TaskState, check_discardable, parse_state


class Share(msgspec.Struct, frozen=True):
    """A queue to work on, and its part of the worker."""

    queue: Queue
    """The queue, as `Client.join_queue` or `Client.ensure_queue` returned it."""
    concurrency: int | None = None
    """Tasks of this queue to run at once. ``None``: the concurrency of the worker."""
    weight: int = 1
    """Tasks to start for each one of a queue with weight 1, while both queues have some."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ConfigurationError: A number is less than 1.
        """
        for option, value in (("concurrency", self.concurrency), ("weight", self.weight)):
            if value is not None and value < 1:
                raise ConfigurationError(f"queue {self.queue.name}: invalid {option} {value}: use 1 or more")


class WorkerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a `Worker`."""

    queues: Sequence[Share] = ()
    """The queues to work on. Without any: the queue of the client."""
    concurrency: int = 10
    """Tasks to run at once, over all queues: the number of slots."""
    retry_policy: RetryPolicy | str = "default"
    """Delays between tries, for handlers without a policy of their own: a policy, or the name of one."""
    discard_states: Sequence[TaskState | str] = ()
    """Final states in which tasks are deleted: ``complete``, ``expired``, ``terminated``."""
    grace: Duration = 20
    """How long running handlers may continue after a stop, before they are cancelled."""

    def __post_init__(self) -> None:
        """Check all options.

        Raises:
            ConfigurationError: A number or duration is out of range, or a queue is listed twice.
            UnknownRetryPolicyError: No retry policy has this name.
            InvalidStateNameError: A state does not exist, or tasks cannot be discarded in it.
        """
        if self.concurrency < 1:
            raise ConfigurationError(f"invalid concurrency {self.concurrency}: use 1 or more")
        as_ns(self.grace, "grace")
        names = [share.queue.name for share in self.queues]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigurationError(f"queues listed more than once: {', '.join(twice)}")
        policy_of(self)
        discarded_by(self)


def policy_of(options: WorkerOptions) -> RetryPolicy:
    """Return the retry policy, looked up if the options name it.

    Raises:
        UnknownRetryPolicyError: No retry policy has this name.
    """
    return retry_policy(options.retry_policy) if isinstance(options.retry_policy, str) else options.retry_policy


def discarded_by(options: WorkerOptions) -> frozenset[TaskState]:
    """Return the states in which tasks are deleted.

    Raises:
        InvalidStateNameError: A state does not exist, or tasks cannot be discarded in it.
    """
    return check_discardable(frozenset(parse_state(state) for state in options.discard_states))
