"""What a handler can raise to say what shall become of its task. Any other exception fails the try."""

from __future__ import annotations

from datetime import timedelta

from ajobs.protocol.durations import MAX_DURATION_NS, MICROSECOND_NS


class TerminateTask(Exception):  # noqa: N818 - a decision, not an error
    """Trying this task again is of no use: it becomes ``terminated`` with this text."""


class DiscardTask(Exception):  # noqa: N818 - a decision, not an error
    """Nobody needs this task any more: it is announced as ``terminated`` with this text, and deleted."""


class RetryTask(Exception):  # noqa: N818 - a decision, not an error
    """Fail this try with this text, and try again after a time of the handler's choice."""

    def __init__(
        self, message: str = "the handler asked for another try", *, after: timedelta | float | None = None
    ) -> None:
        """Take the time to wait, in seconds unless it is a span; without one, the retry policy decides.

        Raises:
            TypeError: The time is neither. ``ValueError`` and ``OverflowError``: it is no number, or too large a one.
        """
        super().__init__(message)
        if not isinstance(after, timedelta | int | float | None):  # pyright: ignore[reportUnnecessaryIsInstance] - not everybody checks types
            raise TypeError(f"after is {after!r}: use a number of seconds or a timedelta")
        self.after = timedelta(seconds=after) if isinstance(after, int | float) else after

    @property
    def delay_ns(self) -> int | None:
        """The time to wait in nanoseconds, if the handler chose one."""
        if self.after is None:
            return None
        return min(max(0, self.after // timedelta(microseconds=1) * MICROSECOND_NS), MAX_DURATION_NS)


DECISIONS = (TerminateTask, DiscardTask, RetryTask)
"""What a handler raises on purpose."""
