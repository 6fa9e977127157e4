"""A worker: runs the tasks of its queues with the handlers of a router.

An item takes this way down through the layers: a queue's pull delivers it to the `Feed` (`queues`), a slot takes it
from there, the `Execution` of its queue processes it (`running`), and the routing table finds its handler (`routing`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from ajobs.client.client import Client
from ajobs.client.options import signature_mode
from ajobs.client.storage.jetstream.pull import PullSubscription
from ajobs.protocol.durations import as_seconds
from ajobs.protocol.errors import ConfigurationError, ConnectionFailedError
from ajobs.protocol.task import Task
from ajobs.worker.options import Share, WorkerOptions
from ajobs.worker.queues.feed import Feed, Source
from ajobs.worker.queues.slots import Slots
from ajobs.worker.routing.lifespan import CancelScope, enter_lifespans, provided_by
from ajobs.worker.routing.router import Router
from ajobs.worker.routing.table import RoutingTable
from ajobs.worker.running import observers
from ajobs.worker.running.execution import Execution
from ajobs.worker.running.executors import Executors
from ajobs.worker.running.watchdog import LoopWatchdog

DEFAULTS = WorkerOptions()


class Worker:
    """Runs the tasks of one or several queues with the handlers of a router.

    It runs up to `WorkerOptions.concurrency` tasks at once. All workers of a queue together run up to the queue's
    ``max_concurrent``.
    """

    def __init__(
        self,
        client: Client,
        router: Router,
        options: WorkerOptions = DEFAULTS,
        *,
        logger: logging.Logger | None = None,
    ) -> None:
        """Prepare a worker. `run` starts it.

        Args:
            client: A connected client.
            router: The handlers, at least one.
            options: The queues, the number of slots, and all other options.
            logger: Logs what happens. Default: the logger ``ajobs.worker``.

        Raises:
            ConfigurationError: The router has no handler, or a handler cannot be called.
        """
        if not router.task_types:
            msg = "the router has no handler: register at least one. The type '' matches every task"
            raise ConfigurationError(msg)
        self.client = client
        self.options = options
        self._grace_s = as_seconds(options.grace, "grace")
        self.shares = tuple(options.queues) or (Share(client.queue),)
        self._logger = logger or logging.getLogger("ajobs.worker")
        self._lifespans = router.lifespans()
        self.routes = RoutingTable.of(router, provided_by(self._lifespans))
        self._state: dict[Any, Any] = {}
        self._executors = Executors(options.concurrency)
        self._feed = Feed([self._source(share) for share in self.shares])
        self._slots = Slots(self._feed, slots=options.concurrency, logger=self._logger)
        self._starting = CancelScope()
        self._closing = CancelScope()
        self._has_drained = False
        self._stop = asyncio.Event()
        self._ready = asyncio.Event()

    def _source(self, share: Share) -> Source:
        slots = self.options.concurrency
        execution = Execution(
            self.client,
            share.queue,
            self.routes,
            self._executors,
            state=self._state,
            options=self.options,
            logger=self._logger,
        )
        limit = min(share.concurrency or slots, slots)
        return Source(share.queue.name, execution, limit=limit, weight=share.weight)

    @property
    def busy(self) -> int:
        """Number of tasks that are running."""
        return self._slots.busy

    @property
    def running_tasks(self) -> list[Task]:
        """The tasks whose handlers are running."""
        return [task for source in self._feed.sources for task in source.execution.running]

    @property
    def counters(self) -> Counter[str]:
        """Number of finished tries since the start, by the state they led to."""
        counted: Counter[str] = Counter()
        for source in self._feed.sources:
            counted.update(source.execution.counters)
        return counted

    @property
    def stuck(self) -> int:
        """Number of handlers that still run after a stop: in threads, or because they ignore their cancellation."""
        return self._executors.threads_running + self.busy

    @property
    def is_stopping(self) -> bool:
        """Whether the worker takes no more tasks."""
        return self._stop.is_set()

    def problems(self) -> dict[str, str | None]:
        """Return the problems that keep the worker from taking tasks, by check. ``None``: the check is fine."""
        connected = self.client.connection.is_connected
        pulls = {f"queue {source.name}": source.pull for source in self._feed.sources}
        return {
            "nats": None if connected else "not connected",
            "started": None if self._ready.is_set() else "not started yet",
            "draining": "takes no more tasks" if self.is_stopping else None,
            "slots": self._stuck_slots(),
        } | {
            name: None if pull is None or pull.is_healthy else "the consumer does not answer"
            for name, pull in pulls.items()
        }

    def _stuck_slots(self) -> str | None:
        overdue = [name for source in self._feed.sources for name in source.execution.overdue]
        if len(overdue) < self.options.concurrency:
            return None
        return f"all {self.options.concurrency} are taken by handlers past their max run time, such as {overdue[0]}"

    def stop(self) -> None:
        """Take no more tasks. `run` returns when the running ones are done.

        A second call stops waiting for handlers: it cancels them and hands their tasks back. A third call stops waiting
        for lifespans. A lifespan that has not finished its setup is cancelled by the first call.
        """
        self._starting.cancel()
        if self._has_drained:
            self._closing.cancel()
        elif self._stop.is_set():
            self._slots.interrupt()
        self._feed.close()
        self._stop.set()

    async def run(self) -> None:
        """Process tasks until `stop` is called.

        Raises:
            ConnectionFailedError: The connection was closed permanently. Exceptions of lifespans pass through.
        """
        connection = self.client.connection
        closed = asyncio.create_task(self._watch_connection(), name="watch the connection")
        try:
            async with self._closing, AsyncExitStack() as stack:
                self._state |= {Client: self.client}
                async with self._starting:
                    await enter_lifespans(self._lifespans, self._state, stack)
                if not self._starting.is_cancelled:
                    await self._process(stack)
                self._has_drained = True
        finally:
            await self._executors.close()
            closed.cancel()
            await asyncio.gather(closed, return_exceptions=True)
        if connection.nats.is_closed:
            msg = "the connection to NATS was closed permanently: see the log for the reason"
            raise ConnectionFailedError(msg)

    async def _process(self, stack: AsyncExitStack) -> None:
        for source in self._feed.sources:
            source.pull = await stack.enter_async_context(self._pull(source))
        self._ready.set()
        self._logger.info(
            "worker ready: %s, %d slots, task types %s",
            ", ".join(f"queue {share.queue.name}" for share in self.shares),
            self.options.concurrency,
            ", ".join(task_type or "(all)" for task_type in self.routes.task_types),
        )
        self._logger.info("signatures are %s", signature_mode(self.client.keys))
        watchdog = LoopWatchdog(
            lambda: (run for source in self._feed.sources for run in source.execution.runs), self._logger
        )
        with watchdog.watching():
            await self._slots.run(self._stop, self._grace_s)

    @asynccontextmanager
    async def _pull(self, source: Source) -> AsyncGenerator[PullSubscription]:
        observers.PREFETCHED.labels(source.name).set_function(lambda: len(source.buffer))
        observers.RUNNING.labels(source.name).set_function(lambda: source.running)
        wanted: Callable[[], int] = lambda: self._feed.wanted(source)  # noqa: E731 - bound to this source
        async with self.client.storage.pull(
            source.name,
            wanted=wanted,
            deliver=lambda delivery: self._feed.deliver(source, delivery),
            on_pull=observers.POLLS.labels(source.name).inc,
            on_failure=observers.POLL_ERRORS.labels(source.name).inc,
        ) as pull:
            yield pull

    async def _watch_connection(self) -> None:
        await self.client.connection.wait_closed()
        self._feed.close()
        self._stop.set()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Worker]:
        """Run until the end of the block, in the background of a program. Raises as `run` does."""
        running = asyncio.create_task(self.run(), name="worker")
        ready = asyncio.create_task(self._ready.wait(), name="wait for the worker")
        try:
            await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                yield self
        finally:
            ready.cancel()
            self.stop()
            await running
