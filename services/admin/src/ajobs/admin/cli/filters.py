"""The options that select tasks, and their translation into a filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Group, Parameter

from ajobs.admin.cli.arguments import listed
from ajobs.client.tasks.ages import moment_ns
from ajobs.client.tasks.filter import Matcher, parse_states

SEVERAL = "Can be repeated, or name several, separated by commas."
MOMENT = "an age such as 90m or 7d, or a time such as 2026-01-31T12:00:00Z."


def _several(*names: str, text: str) -> Parameter:
    return Parameter(name=names, consume_multiple=False, help=f"{text} {SEVERAL}")


States = Annotated[tuple[str, ...], _several("--state", "-s", text="Tasks in this state.")]
QueueFilter = Annotated[tuple[str, ...], _several("--queue", "-q", text="Tasks of this queue.")]
FromQueueFilter = Annotated[tuple[str, ...], _several("--from-queue", text="Tasks of this queue.")]
TypeFilter = Annotated[tuple[str, ...], _several("--type", "-t", text="Tasks of this type.")]


@Parameter(name="*", group=Group("Filters", sort_key=10))
@dataclass(frozen=True, kw_only=True)
class FilterOptions:
    """The options that select tasks. A command adds the one for the queue."""

    state: States = ()
    task_type: TypeFilter = ()
    since: Annotated[str | None, Parameter(help=f"Tasks created since: {MOMENT}")] = None
    before: Annotated[str | None, Parameter(help=f"Tasks created before: {MOMENT}")] = None
    tried_since: Annotated[str | None, Parameter(help=f"Tasks whose last try started since: {MOMENT}")] = None
    tried_before: Annotated[str | None, Parameter(help=f"Tasks whose last try started before: {MOMENT}")] = None
    error: Annotated[
        str | None, Parameter(help="Tasks whose last error contains this text, in upper or lower case.")
    ] = None

    def matcher(self, queue: tuple[str, ...]) -> Matcher:
        """Return the filter.

        Raises:
            InvalidStateNameError: A state does not exist.
            ConfigurationError: A text is neither an age nor a time.
        """
        return Matcher(
            states=parse_states(self.state),
            queues=frozenset(listed(queue)),
            task_types=frozenset(listed(self.task_type)),
            created_since_ns=_moment("--since", self.since),
            created_before_ns=_moment("--before", self.before),
            tried_since_ns=_moment("--tried-since", self.tried_since),
            tried_before_ns=_moment("--tried-before", self.tried_before),
            error=self.error or "",
        )


NO_FILTER = FilterOptions()


def _moment(option: str, text: str | None) -> int | None:
    return None if text is None else moment_ns(option, text)
