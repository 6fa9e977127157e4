"""The exceptions by which a handler decides how its task goes on. Any other exception fails the try."""

from __future__ import annotations

from datetime import timedelta

from ajobs.protocol.durations import Duration, as_timedelta


class TerminateTask(Exception):  # noqa: N818 - a decision, not an error
    """Permanent failure: retrying cannot help. The task becomes ``terminated`` with this text."""


class DiscardTask(Exception):  # noqa: N818 - a decision, not an error
    """Permanent failure of a task that is not needed anymore: it is announced as ``terminated`` and deleted."""


class RetryTask(Exception):  # noqa: N818 - a decision, not an error
    """Fail this try with this text, and choose the time until the next one."""

    def __init__(self, message: str = "the handler asked for another try", *, after: Duration | None = None) -> None:
        """Fail the try.

        Args:
            message: The text for the task's ``last_err``.
            after: The time to wait before the next try. Negative times count as 0. Default: as the retry policy says.

        Raises:
            InvalidDurationError: ``after`` is not a duration, or too long.
        """
        super().__init__(message)
        self.after = None if after is None else max(as_timedelta(after, "after", signed=True), timedelta(0))
        """The time to wait before the next try. ``None``: as the retry policy says."""


DECISIONS = (TerminateTask, DiscardTask, RetryTask)
"""The exceptions that a handler raises on purpose."""
