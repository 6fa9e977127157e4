"""The options that select tasks, and their translation into a filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Group, Parameter

from ajobs.client.tasks.ages import moment_ns
from ajobs.client.tasks.filter import Matcher, parse_states

States = Annotated[
    tuple[str, ...],
    Parameter(
        name=("--state", "-s"),
        consume_multiple=False,
        help="Tasks in this state. Can be repeated, or name several, separated by commas.",
    ),
]
QueueFilter = Annotated[str | None, Parameter(name=("--queue", "-q"), help="Tasks of this queue.")]
TypeFilter = Annotated[str | None, Parameter(name=("--type", "-t"), help="Tasks of this type.")]


@Parameter(name="*", group=Group("Filters", sort_key=10))
@dataclass(frozen=True, kw_only=True)
class FilterOptions:
    """The options that select tasks. A command adds the one for the queue."""

    state: States = ()
    task_type: TypeFilter = None
    since: Annotated[
        str | None,
        Parameter(help="Tasks created since: an age such as 90m or 7d, or a time such as 2026-01-31T12:00:00Z."),
    ] = None
    before: Annotated[
        str | None,
        Parameter(help="Tasks created before: an age such as 90m or 7d, or a time such as 2026-01-31T12:00:00Z."),
    ] = None
    error: Annotated[
        str | None, Parameter(help="Tasks whose last error contains this text, in upper or lower case.")
    ] = None

    def matcher(self, queue: str | None) -> Matcher:
        """Return the filter. Raises the errors of `matcher_of`."""
        return matcher_of(
            state=self.state,
            queue=queue,
            task_type=self.task_type,
            since=self.since,
            before=self.before,
            error=self.error,
        )


NO_FILTER = FilterOptions()


def matcher_of(
    *,
    state: tuple[str, ...] = (),
    queue: str | None = None,
    task_type: str | None = None,
    since: str | None = None,
    before: str | None = None,
    error: str | None = None,
) -> Matcher:
    """Return the filter of some options.

    Raises:
        InvalidStateNameError: A state does not exist.
        ConfigurationError: A text is neither an age nor a time.
    """
    return Matcher(
        states=parse_states(state),
        queues=frozenset() if queue is None else frozenset({queue}),
        task_types=frozenset() if task_type is None else frozenset({task_type}),
        created_since_ns=None if since is None else moment_ns("--since", since),
        created_before_ns=None if before is None else moment_ns("--before", before),
        error=error or "",
    )
