"""Process one work item: load, admit, start, run, decide, save, acknowledge.

Two rules make this safe to interrupt at any line:

1. Every write is a compare-and-set on the revision that the previous step read. Losing it means that another worker or
   an operator owns the task now, so this worker touches nothing more, not even the item.
2. The item is acknowledged only after the task is saved. If the worker dies in between, the server delivers the item
   again and the stored task says how far the last run got.

The steps are in modules of their own, in this order: `admission` loads, admits and starts; `outcome` calls the handler;
`settlement` saves and acknowledges. The pure functions in `ajobs.protocol.decisions` decide between them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec

from ajobs.client.client import Client
from ajobs.client.storage.items import Delivery
from ajobs.client.storage.tasks import Stored
from ajobs.protocol.codec import decode_item
from ajobs.protocol.decisions import (
    Conclusion,
    Disposal,
    Failed,
    Interrupted,
    Outcome,
    Succeeded,
    Terminated,
    again,
    conclude,
)
from ajobs.protocol.errors import (
    AjobsError,
    CorruptItemError,
    PayloadTooLargeError,
    RunOverError,
    UnavailableError,
)
from ajobs.protocol.queue import Queue
from ajobs.protocol.task import Task
from ajobs.worker.options import WorkerOptions, discarded_by, policy_of
from ajobs.worker.routing.table import BoundRoute, RoutingTable, label_of
from ajobs.worker.running import observers
from ajobs.worker.running.admission import UNAVAILABLE_DELAY_NS, Admission
from ajobs.worker.running.executors import Executors
from ajobs.worker.running.lease import NEVER_S, DeferredTimers, Lease
from ajobs.worker.running.outcome import handle_run
from ajobs.worker.running.patience import Patience
from ajobs.worker.running.run import Run
from ajobs.worker.running.settlement import Settlement, random_below

SHORT_ERROR_LENGTH = 200
"""Error characters to keep when the task is too large to be saved with the full error."""


class Running(msgspec.Struct, frozen=True):
    """A task saved as active, the route to its handler, and the run that the handler sees."""

    started: Stored
    route: BoundRoute | None
    run: Run


class Execution:
    """Processes the work items of one queue."""

    def __init__(  # noqa: PLR0913 - everything that a run needs
        self,
        client: Client,
        queue: Queue,
        routes: RoutingTable,
        executors: Executors,
        *,
        state: Mapping[Any, Any],
        options: WorkerOptions,
        logger: logging.Logger,
    ) -> None:
        """Process items of ``queue`` with the handlers in ``routes``.

        Args:
            client: A connected client.
            queue: The queue's settings as stored on the server.
            routes: Finds the handler for a task type.
            executors: Where plain functions run.
            state: The values that lifespans yield, by type. Handlers receive them as parameters.
            options: The retry policy and the states to discard.
            logger: Logs what happens to items and tasks.
        """
        self._items = client.storage.items
        self._queue = queue
        self._lease_s = queue.max_run_time.total_seconds()
        self._routes = routes
        self._executors = executors
        self._state = state
        self._logger = logger
        self._policy = policy_of(options)
        self._settlement = Settlement(client, queue, discarded=discarded_by(options), logger=logger)
        self._admission = Admission(client, queue, policy=self._policy, settlement=self._settlement, logger=logger)
        self._running: dict[Delivery, Running] = {}
        self._timers = DeferredTimers()
        observers.BUSY.add(self)
        self._holding: set[Run] = set()
        self._overruns: set[asyncio.Task[None]] = set()
        self._interruption = asyncio.Event()
        self._draining = asyncio.Event()
        self._patience = Patience(client.connection, logger)
        self.counters: Counter[str] = Counter()
        """Number of finished tries by the state they led to."""

    @property
    def running(self) -> list[Task]:
        """The tasks whose handlers are running."""
        return [running.started.task for running in self._running.values()]

    @property
    def runs(self) -> list[Run]:
        """The running handlers."""
        return [running.run for running in self._running.values()]

    @property
    def overdue(self) -> list[str]:
        """The handlers that occupy a slot although they are past their max run time, by name."""
        late = [run for run in self.runs if run.lease.expired]
        return [run.name for run in (*late, *self._holding)]

    async def process(self, delivery: Delivery) -> None:
        """Process one item to the end. Return when its handler is done, or its thread if that takes longer."""
        try:
            item = decode_item(delivery.data)
        except CorruptItemError as e:
            self._logger.error(
                "removed an unreadable item from queue %s (%s): %s", self._queue.name, delivery.subject, e
            )
            observers.ITEMS_CORRUPT.labels(self._queue.name).inc()
            await self._items.terminate(delivery)
            return
        try:
            started = await self._start(item.job, delivery)
            if started is None:
                return
            run = await self._run(started, delivery)
        except UnavailableError as e:
            self._logger.warning("gave up on the item of task %s, it is redelivered: %s", item.job, e)
            return
        if run.thread is not None and not run.thread.done():
            await self._wait_for_thread(run, run.thread)

    async def _start(self, task_id: str, delivery: Delivery) -> Stored | None:
        """Admit and start a task. While the store refuses, keep the item: a delivery without a try must not count."""
        try:
            return await self._admission.start(task_id, delivery)
        except UnavailableError as e:
            error = e
        kept = Lease(NEVER_S, self._lease_s, lambda: self._items.keep(delivery), self._timers)
        kept.start(lambda: None, renewed=delivery.received)
        try:
            return await self._patience.repeat(
                f"the start of task {task_id}",
                lambda: self._admission.start(task_id, delivery),
                error,
                stop=self._draining,
                is_lost=lambda: kept.is_lost,
            )
        except UnavailableError as e:
            if not kept.is_lost:
                self._logger.warning("returning task %s to its queue: %s", task_id, e)
                await self.give_back(delivery, UNAVAILABLE_DELAY_NS)
                return None
            raise
        finally:
            self._admission.forget(delivery)
            await kept.close()

    async def give_back(self, delivery: Delivery, delay_ns: int = 0) -> None:
        """Have an item whose task was not started delivered again, even if this was its last delivery."""
        if again(self._queue, delivery.delivered) is Disposal.REPLACE:
            with suppress(CorruptItemError):
                await self._settlement.replace(decode_item(delivery.data).job, delivery)
        else:
            await self._items.nak(delivery, delay_ns)

    async def _wait_for_thread(self, run: Run, thread: asyncio.Future[Any]) -> None:
        """Hold the slot until a timed-out thread ends, because it still uses the capacity that the slot stands for."""
        interruption = asyncio.ensure_future(self._interruption.wait())
        self._holding.add(run)
        try:
            await asyncio.wait({thread, interruption}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            interruption.cancel()
            self._holding.discard(run)

    def drain(self) -> None:
        """Stop waiting for the store with items whose tasks were not started."""
        self._draining.set()

    def interrupt(self) -> None:
        """Cancel all running handlers and start no more. Their tasks are handed back.

        Only handlers are cancelled. The saves and acknowledgements around them are short, and cancelling one could
        lose an outcome.
        """
        self._interruption.set()
        for running in self._running.values():
            running.run.interrupt()

    async def hand_back(self) -> None:
        """Hand back the tasks of handlers that keep running after they were cancelled."""
        for delivery, running in list(self._running.items()):
            if running.run.is_concluded:
                continue
            running.run.is_concluded = True
            task_id = running.started.task.id
            self._logger.error(
                "%s did not stop when cancelled: handing the task back while it still runs", running.run.name
            )
            try:
                await self._conclude(running, Interrupted(), delivery)
            except AjobsError as e:
                self._logger.warning("task %s is redelivered when its max run time ends: %s", task_id, e)

    async def _run(self, started: Stored, delivery: Delivery) -> Run:
        """Run the handler of a started task and conclude with its outcome."""
        route = self._routes.find(started.task.type)
        run = self._new_run(started, route, delivery)
        running = Running(started, route, run)
        label = label_of(route)
        observers.run_started(started.task, label)
        self._running[delivery] = running
        run.on_overrun = lambda: self._overrun(running, delivery)
        try:
            if self._interruption.is_set():
                outcome: Outcome = Interrupted()
            elif route is None:
                outcome = Failed(f'no handler for task type "{started.task.type}"')
            else:
                outcome = await handle_run(route.handle, run)
        finally:
            del self._running[delivery]
        observers.handler_ended(started.task, label, outcome, run.seconds)
        if run.is_concluded:
            self._logger.warning("%s ended %.1f s after its start: its slot is free again", run.name, run.seconds)
            return run
        try:
            await self._conclude(running, outcome, delivery)
        finally:
            await run.lease.close()
        return run

    def _overrun(self, running: Running, delivery: Delivery) -> None:
        """Fail the try of a handler that goes on after it was cancelled. Its slot stays taken until it ends."""
        if delivery not in self._running or running.run.is_concluded:
            return
        running.run.is_concluded = True
        self._logger.error(
            "%s did not stop when cancelled after its max run time: failing the try. Its slot is taken until it ends",
            running.run.name,
        )
        task = asyncio.get_running_loop().create_task(self._conclude_overrun(running, delivery))
        self._overruns.add(task)
        task.add_done_callback(self._overruns.discard)

    async def _conclude_overrun(self, running: Running, delivery: Delivery) -> None:
        lease = running.run.lease
        failed = Failed(f"did not stop when cancelled after the max run time of {lease.max_run_time}")
        try:
            await self._conclude(running, failed, delivery)
        except AjobsError as e:
            self._logger.warning("task %s is redelivered when its lease ends: %s", running.started.task.id, e)
        finally:
            await lease.close()

    def _new_run(self, started: Stored, route: BoundRoute | None, delivery: Delivery) -> Run:
        limit_s = None if route is None else route.max_run_time_s
        limit_s = self._lease_s if limit_s is None else min(self._lease_s, limit_s)
        lease = Lease(limit_s, self._lease_s, lambda: self._items.keep(delivery), self._timers)

        async def extend() -> None:
            # A leftover of an ended run, such as a thread, must not keep an item that belongs to the next try. Check
            # again after the request, because the run may have ended while it was waiting.
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
        """Save the outcome of a run and dispose of its item; shorten it first if the task would be too large."""
        conclusion = self._decide(running, outcome, delivery)
        try:
            kept = await self._finish(running, conclusion, delivery)
        except PayloadTooLargeError as e:
            conclusion = self._decide(running, _shortened(outcome, conclusion.task, e), delivery)
            kept = await self._finish(running, conclusion, delivery)
        if kept:
            self.counters[conclusion.task.state.value] += 1
            observers.run_ended(conclusion.task, conclusion.delay_ns, running.run.seconds, running.run.error)

    async def _finish(self, running: Running, conclusion: Conclusion, delivery: Delivery) -> bool:
        """Save an outcome and dispose of the item. While the store refuses, repeat that as long as the item is ours."""
        try:
            return await self._settlement.finish(running.started, conclusion, delivery)
        except UnavailableError as e:
            return await self._patience.repeat(
                f"the outcome of task {conclusion.task.id}",
                lambda: self._settlement.finish(running.started, conclusion, delivery, repeated=True),
                e,
                stop=self._interruption,
                is_lost=lambda: running.run.lease.is_lost,
            )

    def _decide(self, running: Running, outcome: Outcome, delivery: Delivery) -> Conclusion:
        own_policy = None if running.route is None else running.route.retry_policy
        return conclude(
            running.started.task,
            outcome,
            queue=self._queue,
            delivery=delivery.delivered,
            now_ns=time.time_ns(),
            policy=own_policy or self._policy,
            random_below=random_below,
        )


def _shortened(outcome: Outcome, task: Task, error: PayloadTooLargeError) -> Outcome:
    """Return an outcome that fits into a task that was too large to be saved."""
    if isinstance(outcome, Succeeded):
        return Terminated(f"the result cannot be stored: {error}")
    text = task.last_err[:SHORT_ERROR_LENGTH]
    return Terminated(text) if isinstance(outcome, Terminated) else Failed(text)


def _refuse_when_over(lease: Lease, task: Task) -> None:
    if lease.is_over:
        raise RunOverError(f"the run of task {task.id} has ended: it cannot be extended")
