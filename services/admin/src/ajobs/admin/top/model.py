"""The model of ``ajc top``: rates, run times and failures from events, next to the state of the last poll.

It has neither a clock nor a connection: the time is an argument of each call, in monotonic seconds. Its memory is
bounded for any number of tasks, types and queues.
"""

from __future__ import annotations

from collections import OrderedDict, deque

import msgspec

from ajobs.admin.top.counting import Buckets, Durations
from ajobs.protocol.events import Event, LeaderEvent, TaskStateEvent
from ajobs.protocol.presence import WorkerPresence
from ajobs.protocol.states import TaskState

RATE_S = 10.0
"""Seconds over which rates are averaged."""
TYPE_SPAN_S = 5.0
TYPE_BUCKETS = 60
"""Counts of a task type cover five minutes."""
MOST_STARTED = 20_000
"""Maximum number of runs that have started and not ended."""
MOST_NAMES = 500
"""Maximum number of queues, and of task types, that are counted separately; the others are counted together."""
MOST_FAILURES = 100
OTHERS = "(others)"

_S = TaskState
_ENQUEUED = frozenset({_S.NEW, _S.BLOCKED})
_FAILED = frozenset({_S.RETRY, _S.EXPIRED, _S.TERMINATED, _S.QUEUE_ERROR, _S.UNREACHABLE})


class PolledQueue(msgspec.Struct, frozen=True, kw_only=True):
    """A queue at the last poll."""

    name: str
    items: int
    waiting: int
    in_progress: int
    oldest_s: float | None
    """Age of its oldest item in seconds; ``None`` if it is empty."""
    paused: bool
    pulls: int
    max_concurrent: int


class Poll(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a poll."""

    queues: tuple[PolledQueue, ...] = ()
    workers: tuple[WorkerPresence, ...] = ()
    leaders: dict[str, str] = {}
    tasks: int = 0
    server: str = ""
    version: str = ""


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Averages per second, and counts of each of the last seconds."""

    enqueued: float = 0.0
    completed: float = 0.0
    failed: float = 0.0
    enqueued_series: tuple[int, ...] = ()
    completed_series: tuple[int, ...] = ()
    failed_series: tuple[int, ...] = ()


class QueueRow(msgspec.Struct, frozen=True, kw_only=True):
    """A queue with its rates."""

    queue: PolledQueue
    rates: Rates


class TypeRow(msgspec.Struct, frozen=True, kw_only=True):
    """A task type in a queue, over the last five minutes."""

    task_type: str
    queue: str
    completed: int
    failed: int
    per_second: float
    p50_s: float | None
    p95_s: float | None
    longest_s: float | None

    @property
    def failed_share(self) -> float:
        """The share of its runs that failed."""
        return self.failed / max(1, self.completed + self.failed)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A failed try or task."""

    timestamp: str
    task_id: str
    task_type: str
    queue: str
    state: str
    tries: int
    error: str


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is shown at one moment."""

    connected: bool
    problem: str
    """Why the poll is out of date; empty if it is not."""
    stale_s: float
    """Seconds since the last poll."""
    watched_s: float
    """Seconds since counting started."""
    poll: Poll
    rates: Rates
    queues: tuple[QueueRow, ...]
    types: tuple[TypeRow, ...]
    failures: tuple[Failure, ...]
    """Latest first."""


def is_failure(event: TaskStateEvent) -> bool:
    """Return whether an event reports a failed try or task.

    A ``retry`` without an error is a task that was handed back or enqueued again.
    """
    return event.state in _FAILED and (event.state is not TaskState.RETRY or bool(event.last_error))


class _Counts:
    def __init__(self, now_s: float, *, span_s: float, size: int) -> None:
        self.enqueued = Buckets(now_s, span_s=span_s, size=size)
        self.completed = Buckets(now_s, span_s=span_s, size=size)
        self.failed = Buckets(now_s, span_s=span_s, size=size)

    def add(self, event: TaskStateEvent, now_s: float) -> None:
        if event.state in _ENQUEUED:
            self.enqueued.add(now_s)
        elif event.state is TaskState.COMPLETE:
            self.completed.add(now_s)
        elif is_failure(event):
            self.failed.add(now_s)

    def rates(self, now_s: float, series: int) -> Rates:
        return Rates(
            enqueued=self.enqueued.per_second(now_s, RATE_S),
            completed=self.completed.per_second(now_s, RATE_S),
            failed=self.failed.per_second(now_s, RATE_S),
            enqueued_series=tuple(self.enqueued.series(now_s, series)),
            completed_series=tuple(self.completed.series(now_s, series)),
            failed_series=tuple(self.failed.series(now_s, series)),
        )


class _TypeCounts(_Counts):
    def __init__(self, now_s: float) -> None:
        super().__init__(now_s, span_s=TYPE_SPAN_S, size=TYPE_BUCKETS)
        self.durations = Durations(window_s=TYPE_SPAN_S * TYPE_BUCKETS)


class TopModel:
    """Collects events and polls, and returns the view."""

    def __init__(self, now_s: float, *, window: int = 240) -> None:
        """Start at ``now_s``, with counts of the last ``window`` seconds."""
        self._began_s = self._polled_s = now_s
        self._window = window
        self._all = _Counts(now_s, span_s=1.0, size=window)
        self._queues: dict[str, _Counts] = {}
        self._types: dict[tuple[str, str], _TypeCounts] = {}
        self._started: OrderedDict[str, float] = OrderedDict()
        self._failures: deque[Failure] = deque(maxlen=MOST_FAILURES)
        self._poll = Poll()
        self._connected = True
        self._problem = ""

    def note_event(self, event: Event, now_s: float) -> None:
        """Add an event that arrived now."""
        if isinstance(event, LeaderEvent):
            leaders = {**self._poll.leaders, event.component: event.name}
            self._poll = msgspec.structs.replace(self._poll, leaders=leaders)
            return
        self._all.add(event, now_s)
        self._queue_counts(event.queue, now_s).add(event, now_s)
        counts = self._type_counts(event.task_type, event.queue, now_s)
        counts.add(event, now_s)
        self._note_run(event, counts, now_s)
        if is_failure(event):
            self._failures.appendleft(
                Failure(
                    timestamp=event.timestamp,
                    task_id=event.task_id,
                    task_type=event.task_type,
                    queue=event.queue,
                    state=event.state.value,
                    tries=event.tries,
                    error=event.last_error,
                )
            )

    def _note_run(self, event: TaskStateEvent, counts: _TypeCounts, now_s: float) -> None:
        # Timestamps of events have whole seconds; arrival times are finer.
        if event.state is TaskState.ACTIVE:
            self._started[event.task_id] = now_s
            self._started.move_to_end(event.task_id)
            while len(self._started) > MOST_STARTED:
                self._started.popitem(last=False)
            return
        started_s = self._started.pop(event.task_id, None)
        if started_s is not None and event.state not in _ENQUEUED:
            counts.durations.add(now_s, now_s - started_s)

    def note_poll(self, poll: Poll, now_s: float) -> None:
        """Replace the last poll."""
        self._poll, self._polled_s, self._problem = poll, now_s, ""
        known = {queue.name for queue in poll.queues}
        for gone in [name for name in self._queues if name not in known and name != OTHERS]:
            if not self._queues[gone].rates(now_s, 1).enqueued:
                del self._queues[gone]

    def note_problem(self, problem: str) -> None:
        """Note that a poll failed. The last poll is shown until one succeeds."""
        self._problem = problem

    def note_connection(self, *, connected: bool) -> None:
        """Note that the connection was lost or is back. Runs that ended in between have no known run time."""
        if connected != self._connected:
            self._started.clear()
        self._connected = connected

    def view(self, now_s: float, *, queue: str | None = None, series: int = 60) -> View:
        """Return the view of one queue or of all, with counts of the last ``series`` seconds."""
        queues = tuple(
            QueueRow(queue=polled, rates=self._rates_of(polled.name, now_s, series))
            for polled in self._poll.queues
            if queue in {None, polled.name}
        )
        workers = tuple(w for w in self._poll.workers if queue is None or queue in {q.name for q in w.queues})
        rows = (_type_row(key, counts, now_s) for key, counts in self._types.items() if queue in {None, key[1]})
        return View(
            connected=self._connected,
            problem=self._problem,
            stale_s=now_s - self._polled_s,
            watched_s=now_s - self._began_s,
            poll=msgspec.structs.replace(self._poll, workers=workers),
            rates=self._all.rates(now_s, series) if queue is None else self._rates_of(queue, now_s, series),
            queues=queues,
            types=tuple(row for row in rows if row.completed or row.failed),
            failures=tuple(failure for failure in self._failures if queue in {None, failure.queue}),
        )

    def _rates_of(self, queue: str, now_s: float, series: int) -> Rates:
        counts = self._queues.get(queue)
        return Rates() if counts is None else counts.rates(now_s, series)

    def _queue_counts(self, queue: str, now_s: float) -> _Counts:
        name = queue if queue in self._queues or len(self._queues) < MOST_NAMES else OTHERS
        counts = self._queues.get(name)
        if counts is None:
            counts = self._queues[name] = _Counts(now_s, span_s=1.0, size=self._window)
        return counts

    def _type_counts(self, task_type: str, queue: str, now_s: float) -> _TypeCounts:
        key = (task_type, queue)
        if key not in self._types and len(self._types) >= MOST_NAMES:
            key = (OTHERS, "")
        counts = self._types.get(key)
        if counts is None:
            counts = self._types[key] = _TypeCounts(now_s)
        return counts


def _type_row(key: tuple[str, str], counts: _TypeCounts, now_s: float) -> TypeRow:
    p50_s, p95_s, longest_s = counts.durations.percentiles(now_s, 0.5, 0.95, 1.0) or (None, None, None)
    return TypeRow(
        task_type=key[0],
        queue=key[1],
        completed=counts.completed.total(now_s),
        failed=counts.failed.total(now_s),
        per_second=counts.completed.per_second(now_s, RATE_S),
        p50_s=p50_s,
        p95_s=p95_s,
        longest_s=longest_s,
    )
