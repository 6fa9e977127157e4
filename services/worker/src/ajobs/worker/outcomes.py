"""What a handler can raise to say what shall become of its task. Any other exception fails the try."""

from __future__ import annotations

from datetime import timedelta

from ajobs.protocol.durations import Duration, as_timedelta


class TerminateTask(Exception):  # noqa: N818 - a decision, not an error
    """Trying this task again is of no use: it becomes ``terminated`` with this text."""


class DiscardTask(Exception):  # noqa: N818 - a decision, not an error
    """Nobody needs this task any more: it is announced as ``terminated`` with this text, and deleted."""


class RetryTask(Exception):  # noqa: N818 - a decision, not an error
    """Fail this try with this text, and try again after a time of the handler's choice."""

    def __init__(self, message: str = "the handler asked for another try", *, after: Duration | None = None) -> None:
        """Take the time to wait before the next try, negative ones as 0; without one, the retry policy decides.

        Raises:
            InvalidDurationError: ``after`` is not a duration, or too long.
        """
        super().__init__(message)
        self.after = None if after is None else max(as_timedelta(after, "after", signed=True), timedelta(0))
        """How long to wait before the next try; ``None``: as long as the retry policy says."""


DECISIONS = (TerminateTask, DiscardTask, RetryTask)
"""What a handler raises on purpose."""
