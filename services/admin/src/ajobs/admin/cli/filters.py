"""The options of commands that select tasks, and the filter that they stand for."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ajobs.client.tasks.ages import moment_ns
from ajobs.client.tasks.filter import Matcher, parse_states

States = Annotated[tuple[str, ...], Parameter(name=("--state", "-s"), consume_multiple=False)]
Type = Annotated[str | None, Parameter(name=("--type", "-t"))]
ErrorText = Annotated[
    str | None, Parameter(help="Only tasks with this text in their last error, in upper or lower case.")
]
"""Its text is here because a docstring cannot describe an argument called ``error``: that is a section's name."""


def matcher_of(
    *,
    state: tuple[str, ...] = (),
    queue: str | None = None,
    task_type: str | None = None,
    since: str | None = None,
    before: str | None = None,
    error: str | None = None,
) -> Matcher:
    """Return the filter that the options stand for.

    Raises:
        InvalidStateNameError: A state does not exist.
        ConfigurationError: A time is neither an age nor a timestamp.
    """
    return Matcher(
        states=parse_states(state),
        queues=frozenset() if queue is None else frozenset({queue}),
        task_types=frozenset() if task_type is None else frozenset({task_type}),
        created_since_ns=None if since is None else moment_ns("--since", since),
        created_before_ns=None if before is None else moment_ns("--before", before),
        error=error or "",
    )
