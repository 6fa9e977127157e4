"""A worker: a client, a router, the queues to work on, and the slots between them."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from ajobs.client.client import Client
from ajobs.client.storage.jetstream.pull import PullSubscription
from ajobs.protocol.durations import as_seconds
from ajobs.protocol.errors import ConfigurationError, ConnectionFailedError
from ajobs.protocol.subjects import QUEUE_CONSUMER, queue_stream
from ajobs.protocol.task import Task
from ajobs.worker.options import Share, WorkerOptions
from ajobs.worker.queues.feed import Feed, Source
from ajobs.worker.queues.slots import Processor
from ajobs.worker.routing.lifespan import CutOff, enter_lifespans, provided_by
from ajobs.worker.routing.router import Router
from ajobs.worker.routing.table import Routes
from ajobs.worker.running import metrics
from ajobs.worker.running.execution import Execution
from ajobs.worker.running.executors import Executors

DEFAULTS = WorkerOptions()


class Worker:
    """Processes the tasks of one or several queues with the handlers of a router.

    It runs as many tasks at once as the options' ``concurrency`` says, and no more of a queue than the queue's
    ``max_concurrent`` over all workers together.
    """

    def __init__(
        self,
        client: Client,
        router: Router,
        options: WorkerOptions = DEFAULTS,
        *,
        logger: logging.Logger | None = None,
    ) -> None:
        """Prepare a worker; `run` starts it.

        Args:
            client: Connected.
            router: Has at least one handler.
            options: Its queues, slots, and the rest of what it can be told.
            logger: Where to log, instead of ``ajobs.worker``.

        Raises:
            ConfigurationError: The router has no handler, a handler cannot be called.
        """
        if not router.task_types:
            msg = "the router has no handler: register at least one, the type '' takes every task"
            raise ConfigurationError(msg)
        self.client = client
        self.options = options
        self._grace_s = as_seconds(options.grace, "grace")
        self.shares = tuple(options.queues) or (Share(client.queue),)
        self._logger = logger or logging.getLogger("ajobs.worker")
        self._lifespans = router.lifespans()
        self.routes = Routes.of(router, provided_by(self._lifespans))
        self._state: dict[Any, Any] = {}
        self._executors = Executors(options.concurrency)
        self._feed = Feed([self._source(share) for share in self.shares])
        self._processor = Processor(self._feed, client.storage.items, slots=options.concurrency, logger=self._logger)
        self._starting = CutOff()
        self._closing = CutOff()
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
        """How many tasks run right now."""
        return self._processor.busy

    @property
    def running_tasks(self) -> list[Task]:
        """The tasks that handlers have right now."""
        return [task for source in self._feed.sources for task in source.execution.running]

    @property
    def counters(self) -> Counter[str]:
        """How many tries ended in which state since the start."""
        counted: Counter[str] = Counter()
        for source in self._feed.sources:
            counted.update(source.execution.counters)
        return counted

    @property
    def stuck(self) -> int:
        """How many handlers still run although the worker has stopped: in threads, or ignoring their cancellation."""
        return self._executors.threads_running + self.busy

    @property
    def is_stopping(self) -> bool:
        """Whether it takes no more tasks."""
        return self._stop.is_set()

    def problems(self) -> dict[str, str | None]:
        """Return what keeps the worker from taking tasks, by what was looked at; ``None`` where all is well."""
        connected = self.client.storage.connection.is_connected
        pulls = {f"queue {source.name}": source.pull for source in self._feed.sources}
        return {
            "nats": None if connected else "not connected",
            "started": None if self._ready.is_set() else "not started yet",
            "draining": "takes no more tasks" if self.is_stopping else None,
        } | {
            name: None if pull is None or pull.is_healthy else "its consumer does not answer"
            for name, pull in pulls.items()
        }

    def stop(self) -> None:
        """Take no more tasks, and let `run` return once the running ones are done; a second call cancels those.

        A lifespan that is still being entered is cancelled by the first call, one that does not end by another one.
        """
        self._starting.now()
        if self._has_drained:
            self._closing.now()
        elif self._stop.is_set():
            self._processor.hurry()
        self._feed.close()
        self._stop.set()

    async def run(self) -> None:
        """Process tasks until `stop` is called.

        Raises:
            ConnectionFailedError: The connection was closed for good, by the server or by somebody else. What a
                lifespan of the router raises is raised as it is.
        """
        connection = self.client.storage.connection
        closed = asyncio.create_task(self._watch_connection(), name="watch the connection")
        try:
            async with self._closing, AsyncExitStack() as stack:
                self._state |= {Client: self.client}
                async with self._starting:
                    await enter_lifespans(self._lifespans, self._state, stack)
                if not self._starting.happened:
                    await self._process(stack)
                self._has_drained = True
        finally:
            await self._executors.close()
            closed.cancel()
            await asyncio.gather(closed, return_exceptions=True)
        if connection.nats.is_closed:
            msg = "the connection to NATS was closed for good: see the log for what the server said"
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
        await self._processor.run(self._stop, self._grace_s)

    @asynccontextmanager
    async def _pull(self, source: Source) -> AsyncGenerator[PullSubscription]:
        storage = self.client.storage
        metrics.PREFETCHED.labels(source.name).set_function(lambda: len(source.buffer))
        metrics.RUNNING.labels(source.name).set_function(lambda: source.running)
        wanted: Callable[[], int] = lambda: self._feed.wanted(source)  # noqa: E731 - bound to this source
        async with PullSubscription.open(
            storage.connection,
            storage.requests,
            subject=storage.jetstream.subject(f"CONSUMER.MSG.NEXT.{queue_stream(source.name)}.{QUEUE_CONSUMER}"),
            wanted=wanted,
            deliver=lambda delivery: self._feed.deliver(source, delivery),
            on_pull=metrics.POLLS.labels(source.name).inc,
            on_failure=metrics.POLL_ERRORS.labels(source.name).inc,
        ) as pull:
            yield pull

    async def _watch_connection(self) -> None:
        await self.client.storage.connection.wait_closed()
        self._feed.close()
        self._stop.set()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Worker]:
        """Run for as long as the block does, for programs that have other things to do. Raises as `run` does."""
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
