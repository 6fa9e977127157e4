"""One work item from start to end: load, admit, start, run, decide, save, acknowledge.

Every step that writes is a compare-and-set on what the step before it saw, and an item is acknowledged only after its
task is saved. So whatever line a worker dies at, the item comes back and the task says how far it came. A lost
compare-and-set means that the task is somebody else's by now: then nothing more is touched, the item included.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from ajobs.client.client import Client
from ajobs.client.observability.metrics import labelled
from ajobs.client.storage.items import Delivery
from ajobs.client.storage.tasks import Stored
from ajobs.protocol.codec import decode_item
from ajobs.protocol.decisions import (
    BLOCKED_DELAY_NS,
    Action,
    Conclusion,
    Disposal,
    Failed,
    Interrupted,
    Outcome,
    Readiness,
    Succeeded,
    Terminated,
    admit,
    again,
    conclude,
    error_text,
    expire,
    resolve,
    start,
)
from ajobs.protocol.durations import SECOND_NS, as_ns, format_duration
from ajobs.protocol.errors import (
    AjobsError,
    CorruptItemError,
    CorruptTaskError,
    PayloadTooLargeError,
    RunOverError,
    TaskChangedError,
    TaskNotFoundError,
    TaskNotSignedError,
    TaskSignatureError,
    UnavailableError,
)
from ajobs.protocol.headers import SERVER_PREFIX
from ajobs.protocol.queue import Queue
from ajobs.protocol.states import TaskState, transition
from ajobs.protocol.task import Task
from ajobs.protocol.timestamps import parse_timestamp
from ajobs.worker.options import WorkerOptions, discarded_by, policy_of
from ajobs.worker.routing.table import Routed, Routes
from ajobs.worker.running import metrics
from ajobs.worker.running.executors import Executors
from ajobs.worker.running.lease import Lease, Young
from ajobs.worker.running.outcome import handle_run, is_cancelled
from ajobs.worker.running.run import Run
from ajobs.worker.running.task_log import log_end, log_start

UNAVAILABLE_DELAY_NS = 2 * SECOND_NS
"""How long an item waits whose task could not be loaded or started because the server did not answer."""

SHORT_ERROR_LENGTH = 200
"""Characters of an error that are kept when the task grew too large to be saved with all of it."""

ADMISSIONS = 3
"""How often an item is looked at anew because its task changed in the same moment, before it is left for later."""


class Running(msgspec.Struct, frozen=True):
    """A task that was saved as active, how it is handled, and the run that its handler sees."""

    started: Stored
    routed: Routed | None
    run: Run

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return self.run.loop.time() - self.run.began


class Execution:
    """Takes the items of one queue through their handlers."""

    def __init__(  # noqa: PLR0913 - everything that a run needs
        self,
        client: Client,
        queue: Queue,
        routes: Routes,
        executors: Executors,
        *,
        state: Mapping[Any, Any],
        options: WorkerOptions,
        logger: logging.Logger,
    ) -> None:
        """Find handlers in ``routes``, and give them ``state``: what lifespans yield, by type."""
        self._client = client
        self._tasks = client.storage.tasks
        self._items = client.storage.items
        self._queue = queue
        self._lease_s = queue.max_run_time.total_seconds()
        self._routes = routes
        self._executors = executors
        self._state = state
        self._logger = logger
        self._policy = policy_of(options)
        self._discarded = discarded_by(options)
        self._running: dict[Delivery, Running] = {}
        self._young = Young()
        metrics.BUSY.add(self)
        self._waiting_for_threads: set[asyncio.Task[None]] = set()
        self._interrupted = False
        self.counters: Counter[str] = Counter()
        """How many tries ended in which state."""

    @property
    def running(self) -> list[Task]:
        """The tasks that handlers have right now."""
        return [running.started.task for running in self._running.values()]

    async def process(self, delivery: Delivery) -> None:
        """Take one item from start to end. Returns when its handler, or the thread of it, is done."""
        try:
            item = decode_item(delivery.data)
        except CorruptItemError as e:
            self._logger.error("item %s of queue %s is dropped: %s", delivery.subject, self._queue.name, e)
            metrics.ITEMS_CORRUPT.labels(self._queue.name).inc()
            await self._items.terminate(delivery)
            return
        try:
            started = await self._start(item.job, delivery)
            if started is None:
                return
            run = await self._run(started, delivery)
        except UnavailableError as e:
            self._logger.warning("task %s waits: %s", item.job, e)
            await self._items.nak(delivery, UNAVAILABLE_DELAY_NS)
            return
        if run.thread is not None and not self._interrupted and not is_cancelled():
            # The slot is taken for as long as the thread is: it uses what the slot stands for.
            self._waiting_for_threads.add(run.slot)
            try:
                await asyncio.wait([run.thread])
            finally:
                self._waiting_for_threads.discard(run.slot)

    def interrupt(self) -> None:
        """Cancel all handlers, and start no more: their tasks are handed back.

        Only handlers are cancelled. What is on its way to the server before and after them is short, and would be lost.
        """
        self._interrupted = True
        for running in self._running.values():
            running.run.slot.cancel()
        for slot in self._waiting_for_threads:
            slot.cancel()

    async def hand_back(self) -> None:
        """Hand back the tasks of handlers that do not end although they were cancelled."""
        for delivery, running in list(self._running.items()):
            task_id = running.started.task.id
            self._logger.error("the handler of task %s ignores its cancellation", task_id)
            try:
                await self._conclude(running, Interrupted(), delivery)
            except AjobsError as e:
                self._logger.warning("task %s comes back when its max run time is over: %s", task_id, e)

    # ---- load, admit, start

    async def _start(self, task_id: str, delivery: Delivery) -> Stored | None:
        """Return the task once it is saved as active, or nothing when its item is dealt with otherwise."""
        for attempt in range(ADMISSIONS):
            try:
                admitted = await self._admit(task_id, delivery, exact=attempt > 0)
                if admitted is None:
                    return None
                return await self._tasks.save(start(admitted.task, time.time_ns()), admitted.revision)
            except TaskChangedError:
                continue
            except TaskNotFoundError:
                self._logger.warning("item for task %s is dropped: the task is not stored", task_id)
                metrics.TASKS_NOT_FOUND.labels(self._queue.name).inc()
                await self._items.terminate(delivery)
            except (CorruptTaskError, PayloadTooLargeError) as e:
                # Nothing can be saved over what cannot be read: it stays for somebody to look at, and so does its item.
                self._logger.error("task %s waits: %s", task_id, e)
                metrics.TASKS_NOT_FOUND.labels(self._queue.name).inc()
                await self._items.nak(delivery, as_ns(self._policy.delay(delivery.delivered, _random_below)))
            return None
        await self._items.nak(delivery, UNAVAILABLE_DELAY_NS)
        return None

    async def _admit(self, task_id: str, delivery: Delivery, *, exact: bool) -> Stored | None:
        """Return the task when it can be started, or nothing when its item is dealt with otherwise."""
        stored = await (self._tasks.load if exact else self._tasks.load_hint)(task_id)
        admission = admit(stored.task, self._queue, time.time_ns())
        if admission.action is not Action.RUN and not exact and not self._tasks.direct_is_exact:
            # Only a start is guarded by a compare-and-set; anything else needs the task as it really is.
            return await self._admit(task_id, delivery, exact=True)
        if admission.action is Action.ACKNOWLEDGE:
            await self._items.ack(delivery)
            return None
        try:
            self._client.verify(stored.task)
        except (TaskNotSignedError, TaskSignatureError) as e:
            self._logger.error("task %s is refused: %s", stored.task.id, e)
            metrics.REFUSED.labels(self._queue.name).inc()
            await self._give_up(stored, TaskState.TERMINATED, error_text(e), delivery)
            return None
        match admission.action:
            case Action.RUN:
                return stored
            case Action.RESOLVE:
                return await self._resolve(stored, delivery)
            case Action.EXPIRE_DEADLINE:
                metrics.PAST_DEADLINE.labels(self._queue.name).inc()
                await self._finish(stored, Conclusion(expire(stored.task), Disposal.ACK), delivery)
            case Action.EXPIRE_TRIES:
                metrics.PAST_MAX_TRIES.labels(self._queue.name).inc()
                await self._finish(stored, Conclusion(expire(stored.task), Disposal.ACK), delivery)
            case Action.LEAVE:
                delay_ns = admission.delay_ns
                self._logger.info(
                    "task %s is active elsewhere, looking again in %s", task_id, format_duration(delay_ns)
                )
                await self._dispose(again(self._queue, delivery.delivered), delay_ns, stored.task, delivery)
        return None

    async def _resolve(self, stored: Stored, delivery: Delivery) -> Stored | None:
        parents = await self._tasks.load_many(stored.task.dependencies or ())
        for parent in filter(None, parents.values()):
            try:
                self._client.verify(parent)
            except (TaskNotSignedError, TaskSignatureError) as e:
                metrics.DEPENDENCIES_FAILED.inc()
                await self._give_up(stored, TaskState.UNREACHABLE, f"task dependencies failed: {e}", delivery)
                return None
        resolution = resolve(stored.task, parents)
        match resolution.readiness:
            case Readiness.READY:
                return Stored(resolution.task, stored.revision)
            case Readiness.WAIT:
                await self._dispose(again(self._queue, delivery.delivered), BLOCKED_DELAY_NS, stored.task, delivery)
            case Readiness.FAILED:
                metrics.DEPENDENCIES_FAILED.inc()
                await self._finish(stored, Conclusion(resolution.task, Disposal.TERM), delivery)
        return None

    async def _give_up(self, stored: Stored, state: TaskState, error: str, delivery: Delivery) -> None:
        given_up = msgspec.structs.replace(stored.task, state=transition(stored.task, state), last_err=error)
        await self._finish(stored, Conclusion(given_up, Disposal.TERM), delivery)

    # ---- run, decide, save, acknowledge

    async def _run(self, started: Stored, delivery: Delivery) -> Run:
        routed = self._routes.find(started.task.type)
        run = self._make_run(started, routed, delivery)
        running = Running(started, routed, run)
        task = started.task
        log_start(task)
        if task.tries == 1 and not task.dependencies:
            metrics.TASK_WAIT.observe(
                (time.time_ns() - parse_timestamp(task.created)) / SECOND_NS, task.queue, task.type
            )
        self._running[delivery] = running
        try:
            if self._interrupted:
                outcome: Outcome = Interrupted()
            elif routed is None:
                outcome = Failed(f'no handler for task type "{task.type}"')
            else:
                outcome = await handle_run(routed.handle, run)
        finally:
            del self._running[delivery]
        metrics.HANDLER_RUNTIME.observe(running.seconds, task.queue, task.type)
        if isinstance(outcome, Failed | Terminated):
            labelled(metrics.HANDLER_ERRORS, task.queue, task.type).inc()
        await self._conclude(running, outcome, delivery)
        return run

    def _make_run(self, started: Stored, routed: Routed | None, delivery: Delivery) -> Run:
        bound_s = None if routed is None else routed.max_run_time_s
        bound_s = self._lease_s if bound_s is None else min(self._lease_s, bound_s)
        lease = Lease(bound_s, self._lease_s, lambda: self._items.keep(delivery), self._young)

        async def extend() -> None:
            # What a run left behind, a thread for one, would keep an item that is to be delivered to the next try.
            _refuse_when_over(lease, started.task)
            await self._items.in_progress(delivery)
            _refuse_when_over(lease, started.task)
            lease.extend()

        return Run(
            started.task,
            lease,
            extend,
            executors=self._executors,
            state=self._state,
            raw_headers=delivery.raw_headers,
        )

    async def _conclude(self, running: Running, outcome: Outcome, delivery: Delivery) -> None:
        conclusion = self._decide(running, outcome, delivery)
        try:
            kept = await self._finish(running.started, conclusion, delivery)
        except PayloadTooLargeError as e:
            if isinstance(outcome, Succeeded):
                shorter: Outcome = Terminated(f"the result cannot be stored: {e}")
            else:
                error = conclusion.task.last_err[:SHORT_ERROR_LENGTH]
                shorter = Terminated(error) if isinstance(outcome, Terminated) else Failed(error)
            conclusion = self._decide(running, shorter, delivery)
            kept = await self._finish(running.started, conclusion, delivery)
        if kept:
            self.counters[conclusion.task.state.value] += 1
            log_end(conclusion.task, conclusion.delay_ns, running.seconds, running.run.error)

    def _decide(self, running: Running, outcome: Outcome, delivery: Delivery) -> Conclusion:
        own_policy = None if running.routed is None else running.routed.retry_policy
        return conclude(
            running.started.task,
            outcome,
            queue=self._queue,
            delivery=delivery.delivered,
            now_ns=time.time_ns(),
            policy=own_policy or self._policy,
            random_below=_random_below,
        )

    async def _finish(self, stored: Stored, conclusion: Conclusion, delivery: Delivery) -> bool:
        """Save the task as it ended, or discard it, and then dispose of its item; tell whether it was still ours."""
        task = conclusion.task
        try:
            if conclusion.discard or task.state in self._discarded:
                self._client.storage.events.announce(task)
                await self._tasks.delete(task.id, stored.revision)
            else:
                await self._tasks.save(task, stored.revision)
        except TaskChangedError as e:
            self._logger.warning("task %s is left to its new owner: %s", task.id, e)
            return False
        await self._dispose(conclusion.disposal, conclusion.delay_ns, task, delivery)
        return True

    async def _dispose(self, disposal: Disposal, delay_ns: int, task: Task, delivery: Delivery) -> None:
        match disposal:
            case Disposal.ACK:
                await self._items.ack(delivery)
            case Disposal.TERM:
                await self._items.terminate(delivery)
            case Disposal.NAK:
                await self._items.nak(delivery, delay_ns)
            case Disposal.REPLACE:
                # What is in the headers for the handler stays: where in which trace it is.
                await self._items.put(self._queue.name, task.id, again=True, headers=_carried(delivery))


def _refuse_when_over(lease: Lease, task: Task) -> None:
    if lease.is_over:
        raise RunOverError(f"this run of task {task.id} is over: what it left behind cannot have more time")


def _carried(delivery: Delivery) -> dict[str, str]:
    return {name: value for name, value in delivery.headers.items() if not name.startswith(SERVER_PREFIX)}


def _random_below(bound: int) -> int:
    return int(random.random() * bound)  # noqa: S311 - jitter, not a secret
