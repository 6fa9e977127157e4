"""Announce that this worker is alive, and what it is doing."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

from ajobs.client.identifiers import new_id
from ajobs.client.storage.workers import workers_bucket
from ajobs.protocol.codec import encode
from ajobs.protocol.errors import AjobsError, StorageError, UnavailableError
from ajobs.protocol.presence import MOST_RUNNING, RunningTask, WorkerPresence, WorkerQueue
from ajobs.protocol.timestamps import format_timestamp
from ajobs.worker.worker import Worker

INTERVAL_S = 5.0
"""Seconds between two announcements. The bucket forgets a worker after a multiple of this."""


class Presence:
    """Keeps the entry of a worker in the bucket of workers."""

    def __init__(self, worker: Worker, name: str | None, logger: logging.Logger) -> None:
        """Announce ``worker`` as ``name``. Default: host name and process ID."""
        self.id = new_id()
        self._worker = worker
        self._host = socket.gethostname()
        self._name = name or f"{self._host}-{os.getpid()}"
        self._started = format_timestamp(time.time_ns())
        self._logger = logger

    @asynccontextmanager
    async def announced(self) -> AsyncGenerator[None]:
        """Announce the worker until the end of the block. If that is not permitted, log it and continue without."""
        client = self._worker.client
        try:
            bucket = await workers_bucket(client.storage, client.options, create=True)
        except StorageError as e:
            self._logger.warning("cannot announce this worker, it will be missing from `ajc worker list`: %s", e)
            yield
            return
        assert bucket is not None  # noqa: S101 - created above

        async def put() -> None:
            try:
                await bucket.put(self.id, encode(self.document()))
            except UnavailableError:
                if not client.connection.is_connected:
                    raise
                # The bucket may have been deleted, or NATS may have come back with an empty store.
                await workers_bucket(client.storage, client.options, create=True)
                await bucket.put(self.id, encode(self.document()))

        async def announce() -> None:
            while True:
                # While disconnected this fails, and the next announcement follows soon.
                with suppress(AjobsError):
                    await put()
                await asyncio.sleep(INTERVAL_S)

        announcing = asyncio.create_task(announce(), name="announce the worker")
        try:
            yield
        finally:
            announcing.cancel()
            await asyncio.gather(announcing, return_exceptions=True)
            if client.connection.is_connected:
                with suppress(AjobsError):
                    await bucket.delete(self.id)

    def document(self) -> WorkerPresence:
        """Return the current announcement."""
        worker = self._worker
        running = worker.running_tasks
        in_queue = Counter(task.queue for task in running)
        return WorkerPresence(
            id=self.id,
            name=self._name,
            host=self._host,
            pid=os.getpid(),
            version=version("ajobs-worker"),
            state="draining" if worker.is_stopping else "running",
            started=self._started,
            updated=format_timestamp(time.time_ns()),
            concurrency=worker.options.concurrency,
            queues=tuple(
                WorkerQueue(
                    name=share.queue.name,
                    concurrency=share.concurrency or worker.options.concurrency,
                    weight=share.weight,
                    running=in_queue[share.queue.name],
                )
                for share in worker.shares
            ),
            handlers=tuple(worker.routes.task_types),
            running=tuple(
                RunningTask(id=task.id, type=task.type, queue=task.queue, started=task.tried or "")
                for task in running[:MOST_RUNNING]
            ),
            running_count=len(running),
            counters=dict(worker.counters),
        )
