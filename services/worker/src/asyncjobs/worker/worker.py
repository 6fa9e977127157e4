"""A worker: a client, a router and the slots between them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from asyncjobs.client.client import Client
from asyncjobs.client.storage.pulls import PullSubscription
from asyncjobs.protocol.errors import ConfigurationError, ConnectionFailedError
from asyncjobs.protocol.subjects import QUEUE_CONSUMER, queue_stream
from asyncjobs.worker import metrics
from asyncjobs.worker.execution import Execution
from asyncjobs.worker.processor import Processor
from asyncjobs.worker.router import Router

DEFAULT_GRACE_S = 20.0


class Worker:
    """Processes the tasks of a client's queue with the handlers of a router.

    It runs as many tasks at once as the client's ``concurrency`` says, and no more than the queue's ``max_concurrent``
    over all workers together.
    """

    def __init__(
        self,
        client: Client,
        router: Router,
        *,
        grace_s: float = DEFAULT_GRACE_S,
        logger: logging.Logger | None = None,
    ) -> None:
        """Prepare a worker; `run` starts it.

        Args:
            client: Connected, with the queue to work on as its own.
            router: Has at least one handler.
            grace_s: Seconds for which running handlers may go on after a stop, before they are cancelled.
            logger: Where to log, instead of ``asyncjobs.worker``.

        Raises:
            ConfigurationError: The router has no handler.
            UnknownRetryPolicyError: The client's retry policy does not exist.
            InvalidStateNameError: One of the client's discard states cannot be discarded.
        """
        if not router.task_types:
            msg = "the router has no handler: register at least one, the type '' takes every task"
            raise ConfigurationError(msg)
        self._client = client
        self._grace_s = grace_s
        self._logger = logger or logging.getLogger("asyncjobs.worker")
        self._threads = ThreadPoolExecutor(client.options.concurrency, "asyncjobs-handler")
        self._execution = Execution(client, client.queue, router, self._threads, self._logger)
        self._processor = Processor(
            self._execution, client.storage.items, slots=client.options.concurrency, logger=self._logger
        )
        self._stop = asyncio.Event()

    @property
    def busy(self) -> int:
        """How many tasks run right now."""
        return self._processor.busy

    @property
    def stuck(self) -> int:
        """How many handlers still run although the worker has stopped: in threads, or ignoring their cancellation."""
        return self._execution.threads_running + self.busy

    def stop(self) -> None:
        """Take no more tasks, and let `run` return once the running ones are done; a second call cancels those."""
        if self._stop.is_set():
            self._processor.hurry()
        self._stop.set()

    async def run(self) -> None:
        """Process tasks until `stop` is called.

        Raises:
            ConnectionFailedError: The connection was closed for good, by the server or by somebody else.
        """
        storage, queue = self._client.storage, self._client.queue.name
        subject = storage.jetstream.subject(f"CONSUMER.MSG.NEXT.{queue_stream(queue)}.{QUEUE_CONSUMER}")
        closed = asyncio.create_task(self._watch_connection(), name="watch the connection")
        try:
            async with PullSubscription.open(
                storage.connection,
                storage.requests,
                subject=subject,
                ahead=self._processor.ahead,
                on_pull=metrics.POLLS.labels(queue).inc,
                on_failure=metrics.POLL_ERRORS.labels(queue).inc,
            ) as messages:
                await self._processor.run(messages, self._stop, self._grace_s)
        finally:
            self._threads.shutdown(wait=False, cancel_futures=True)
            closed.cancel()
            await asyncio.gather(closed, return_exceptions=True)
        if storage.connection.nats.is_closed:
            msg = "the connection to NATS was closed for good: see the log for what the server said"
            raise ConnectionFailedError(msg)

    async def _watch_connection(self) -> None:
        await self._client.storage.connection.wait_closed()
        self._stop.set()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Worker]:
        """Run for as long as the block does, for programs that have other things to do."""
        running = asyncio.create_task(self.run(), name="worker")
        try:
            yield self
        finally:
            self.stop()
            await running
