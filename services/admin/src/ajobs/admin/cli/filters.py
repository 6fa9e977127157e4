"""Which tasks a command is about: the options that say it, and what they mean."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from ajobs.admin.text.human import duration_from
from ajobs.protocol.durations import MICROSECOND_NS
from ajobs.protocol.errors import ConfigurationError, InvalidDurationError, InvalidTimestampError
from ajobs.protocol.states import TaskState, parse_state
from ajobs.protocol.timestamps import parse_timestamp

if TYPE_CHECKING:
    from ajobs.client.tasks.filter import TaskFilter
    from ajobs.protocol.task import Task

States = Annotated[tuple[str, ...], Parameter(name=("--state", "-s"), consume_multiple=False)]
Type = Annotated[str | None, Parameter(name=("--type", "-t"))]
ErrorText = Annotated[
    str | None, Parameter(help="Only tasks with this text in their last error, in upper or lower case.")
]
"""Its text is here because a docstring cannot describe an argument called ``error``: that is a section's name."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What tasks have to be like; what is left out lets all through."""

    states: frozenset[TaskState] = frozenset()
    queue: str | None = None
    task_type: str | None = None
    since_ns: int | None = None
    before_ns: int | None = None
    error: str | None = None

    @property
    def is_all(self) -> bool:
        """Whether it lets every task through."""
        return self == Wanted()

    def for_client(self) -> TaskFilter:
        """Return the part that the client can do."""
        found: TaskFilter = {"states": self.states, "queue": self.queue, "task_type": self.task_type}
        if self.since_ns is not None:
            found["created_since"] = datetime.fromtimestamp(0, UTC) + timedelta(
                microseconds=self.since_ns // MICROSECOND_NS
            )
        return found

    def matches(self, task: Task) -> bool:
        """Tell whether a task passes the rest."""
        return (self.before_ns is None or parse_timestamp(task.created) < self.before_ns) and (
            self.error is None or self.error.lower() in task.last_err.lower()
        )


def wanted_of(
    *,
    state: tuple[str, ...] = (),
    queue: str | None = None,
    task_type: str | None = None,
    since: str | None = None,
    before: str | None = None,
    error: str | None = None,
) -> Wanted:
    """Return what the options say.

    Raises:
        InvalidStateNameError: There is no such state.
        ConfigurationError: A time is none.
    """
    return Wanted(
        states=frozenset(parse_state(name.strip()) for text in state for name in text.split(",") if name.strip()),
        queue=queue,
        task_type=task_type,
        since_ns=None if since is None else moment("--since", since),
        before_ns=None if before is None else moment("--before", before),
        error=error,
    )


def moment(option: str, text: str) -> int:
    """Return nanoseconds since 1970 for a time, or for a duration before now.

    Raises:
        ConfigurationError: It is neither.
    """
    try:
        return time.time_ns() - duration_from(text)
    except InvalidDurationError:
        try:
            return parse_timestamp(text)
        except InvalidTimestampError:
            raise ConfigurationError(
                f"{option} {text!r} is no time: use a duration before now such as 90m or 7d, or 2026-01-31T12:00:00Z"
            ) from None
