"""Admit a task to a run: load it, check it, and save it as active.

Not every item leads to a run. `Admission.start` disposes of items whose task is finished, expired, refused, running
elsewhere, or blocked by its parents. `ajobs.protocol.decisions.admit` decides between these.

A start is a compare-and-set on the loaded revision. Losing it means that the task changed meanwhile, so it is loaded
and checked again.
"""

from __future__ import annotations

import logging
import time

import msgspec

from ajobs.client.client import Client
from ajobs.client.storage.items import Delivery
from ajobs.client.storage.tasks import Stored
from ajobs.protocol.codec import encode
from ajobs.protocol.decisions import (
    BLOCKED_DELAY_NS,
    Action,
    Conclusion,
    Disposal,
    Readiness,
    admit,
    again,
    error_text,
    expire,
    failed_by,
    resolve,
    start,
)
from ajobs.protocol.durations import SECOND_NS, as_ns, format_duration
from ajobs.protocol.errors import (
    CorruptTaskError,
    PayloadTooLargeError,
    TaskChangedError,
    TaskNotFoundError,
    TaskNotSignedError,
    TaskSignatureError,
    UnavailableError,
)
from ajobs.protocol.queue import Queue
from ajobs.protocol.retry import RetryPolicy
from ajobs.protocol.states import TaskState, transition
from ajobs.protocol.task import Task
from ajobs.protocol.timestamps import format_timestamp
from ajobs.worker.running import observers
from ajobs.worker.running.settlement import Settlement, random_below

UNAVAILABLE_DELAY_NS = 2 * SECOND_NS
"""Redelivery delay of an item when the server did not answer, or when its task kept changing during admission."""

ADMISSIONS = 3
"""Attempts to admit and start a task that keeps changing, before its item is returned to the queue."""


class Admission:
    """Starts the tasks of one queue."""

    def __init__(
        self, client: Client, queue: Queue, *, policy: RetryPolicy, settlement: Settlement, logger: logging.Logger
    ) -> None:
        """Start tasks of ``queue``. Items of unreadable tasks wait as ``policy`` says."""
        self._verify = client.verify
        self._verifies = client.keys.verifier is not None
        self._tasks = client.storage.tasks
        self._items = client.storage.items
        self._queue = queue
        self._policy = policy
        self._settlement = settlement
        self._logger = logger
        # A start that is stored later than this would let other workers take the task over too early.
        self._longest_save_ns = as_ns(queue.max_run_time) // 10
        self._unanswered: dict[Delivery, Task] = {}

    async def start(self, task_id: str, delivery: Delivery) -> Stored | None:
        """Save the task as active and return it; return ``None`` if the item needed no run and was disposed of.

        It may be repeated for the same delivery when the server did not answer, until `forget` is called.
        """
        for attempt in range(ADMISSIONS):
            admitted = None
            try:
                if self._unanswered and (started := await self._started_unnoticed(task_id, delivery)) is not None:
                    return started
                admitted = await self._admit(task_id, delivery, exact=attempt > 0)
                if admitted is None:
                    return None
                return await self._save_start(start(admitted.task, time.time_ns()), admitted.revision, delivery)
            except TaskChangedError:
                continue
            except TaskNotFoundError:
                self._logger.warning("removed the item of task %s: the task does not exist", task_id)
                observers.TASKS_NOT_FOUND.labels(self._queue.name).inc()
                await self._items.terminate(delivery)
            except (CorruptTaskError, PayloadTooLargeError) as e:
                if admitted is not None and admitted.task.dependency_results:
                    await self._refuse_results(admitted, e, delivery)
                    return None
                # Saving over an unreadable task would destroy it. Keep both task and item until an operator steps in.
                self._logger.error("task %s cannot be started, its item stays in the queue: %s", task_id, e)
                observers.TASKS_NOT_FOUND.labels(self._queue.name).inc()
                await self._items.nak(delivery, as_ns(self._policy.delay(delivery.delivered, random_below)))
            return None
        await self._items.nak(delivery, UNAVAILABLE_DELAY_NS)
        return None

    async def _save_start(self, task: Task, revision: int, delivery: Delivery) -> Stored:
        """Save a started task; if that took long, save it again with the time of now."""
        while True:
            began_ns = time.time_ns()
            try:
                started = await self._tasks.save(task, revision)
            except UnavailableError:
                self._unanswered[delivery] = task
                raise
            if time.time_ns() - began_ns <= self._longest_save_ns:
                return started
            await self._items.keep(delivery)
            task, revision = msgspec.structs.replace(task, tried=format_timestamp(time.time_ns())), started.revision

    async def _started_unnoticed(self, task_id: str, delivery: Delivery) -> Stored | None:
        """Return the task if an earlier attempt without an answer has started it after all."""
        unanswered = self._unanswered.get(delivery)
        if unanswered is None:
            return None
        stored = await self._tasks.load(task_id)
        if encode(stored.task) != encode(unanswered):
            return None
        again_now = msgspec.structs.replace(unanswered, tried=format_timestamp(time.time_ns()))
        return await self._save_start(again_now, stored.revision, delivery)

    def forget(self, delivery: Delivery) -> None:
        """Forget what was not answered for a delivery."""
        self._unanswered.pop(delivery, None)

    async def _admit(self, task_id: str, delivery: Delivery, *, exact: bool) -> Stored | None:
        """Return the task if it may start; return ``None`` if the item needed no run and was disposed of.

        Args:
            task_id: The task that the item refers to.
            delivery: The item.
            exact: Read the current task. Otherwise any replica may answer, possibly with an older version.
        """
        stored = await (self._tasks.load if exact else self._tasks.load_hint)(task_id)
        admission = admit(stored.task, self._queue, time.time_ns())
        if admission.action is not Action.RUN and not exact and not self._tasks.direct_is_exact:
            # A start on stale data is caught by its compare-and-set. Every other action needs the current task.
            return await self._admit(task_id, delivery, exact=True)
        if admission.action is Action.ACKNOWLEDGE:
            await self._items.ack(delivery)
            return None
        if await self._is_refused(stored, delivery):
            return None
        match admission.action:
            case Action.RUN:
                return await self._with_results(stored, delivery) if stored.task.dependency_results else stored
            case Action.RESOLVE:
                return await self._resolve(stored, delivery)
            case Action.EXPIRE_DEADLINE:
                observers.PAST_DEADLINE.labels(self._queue.name).inc()
                reason = f"past its deadline of {stored.task.deadline} before it could start"
                await self._expire(stored, reason, delivery)
            case Action.EXPIRE_TRIES:
                observers.PAST_MAX_TRIES.labels(self._queue.name).inc()
                await self._expire(stored, _lost_try(stored.task), delivery)
            case Action.LEAVE:
                delay_ns = admission.delay_ns
                self._logger.info(
                    "task %s is running on another worker, checking again in %s", task_id, format_duration(delay_ns)
                )
                await self._settlement.dispose(again(self._queue, delivery.delivered), delay_ns, stored.task, delivery)
        return None

    async def _expire(self, stored: Stored, reason: str, delivery: Delivery) -> None:
        """Save the task as expired, with the reason unless an earlier failure left its own, and remove its item."""
        expired = expire(stored.task)
        if not expired.last_err:
            expired = msgspec.structs.replace(expired, last_err=reason)
        await self._settlement.finish(stored, Conclusion(expired, Disposal.ACK), delivery)

    async def _is_refused(self, stored: Stored, delivery: Delivery) -> bool:
        """Return whether a task must not run here, after disposing of its item."""
        task = stored.task
        if task.queue not in {self._queue.name, ""}:
            # A retry moved the task, whose item is in the other queue now, or anyone put an item here. The task stays.
            self._logger.warning("removed the item of task %s: the task belongs to queue %s", task.id, task.queue)
            observers.REFUSED.labels(self._queue.name).inc()
            await self._items.terminate(delivery)
            return True
        try:
            self._verify(task)
        except (TaskNotSignedError, TaskSignatureError) as e:
            self._logger.error("refused task %s: %s", task.id, e)
            observers.REFUSED.labels(self._queue.name).inc()
            await self._give_up(stored, TaskState.TERMINATED, error_text(e), delivery)
            return True
        return False

    async def _with_results(self, stored: Stored, delivery: Delivery) -> Stored | None:
        """Return a task with results of its parents that can be relied on, or dispose of the item.

        Signatures do not cover results. With a key to verify with, those of an earlier try are loaded again.
        """
        task = stored.task
        if not (task.load_dependencies and task.dependencies):
            return Stored(msgspec.structs.replace(task, dependency_results=None), stored.revision)
        return await self._resolve(stored, delivery) if self._verifies else stored

    async def _resolve(self, stored: Stored, delivery: Delivery) -> Stored | None:
        """Check the parents of a task: return the task if it may start, else dispose of the item."""
        parents = await self._tasks.load_many(stored.task.dependencies or ())
        for parent in filter(None, parents.values()):
            try:
                self._verify(parent)
            except (TaskNotSignedError, TaskSignatureError) as e:
                observers.DEPENDENCIES_FAILED.inc()
                await self._give_up(stored, failed_by(stored.task), f"task dependencies failed: {e}", delivery)
                return None
        resolution = resolve(stored.task, parents)
        match resolution.readiness:
            case Readiness.READY:
                return Stored(resolution.task, stored.revision)
            case Readiness.WAIT:
                await self._settlement.dispose(
                    again(self._queue, delivery.delivered), BLOCKED_DELAY_NS, stored.task, delivery
                )
            case Readiness.FAILED:
                observers.DEPENDENCIES_FAILED.inc()
                await self._settlement.finish(stored, Conclusion(resolution.task, Disposal.TERM), delivery)
        return None

    async def _refuse_results(self, admitted: Stored, error: Exception, delivery: Delivery) -> None:
        """End a task that is too large with the results of its parents. Their size does not change any more."""
        task = msgspec.structs.replace(admitted.task, dependency_results=None)
        text = f"the results of its dependencies are too large together: {error}"
        await self._give_up(Stored(task, admitted.revision), failed_by(task), text, delivery)

    async def _give_up(self, stored: Stored, state: TaskState, error: str, delivery: Delivery) -> None:
        """Save the task in a final state without running it, and remove its item."""
        given_up = msgspec.structs.replace(stored.task, state=transition(stored.task, state), last_err=error)
        await self._settlement.finish(stored, Conclusion(given_up, Disposal.TERM), delivery)


def _lost_try(task: Task) -> str:
    if task.state is not TaskState.ACTIVE:
        return f"no tries left after {task.tries}"
    return (
        f"no tries left: the worker of try {task.tries} was lost before the try ended. It was killed or cut off, or "
        "its event loop was blocked for longer than the max run time"
    )
