"""Telling whoever looks that this worker lives, and what it is doing."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import TYPE_CHECKING

from ajobs.client.identifiers import new_id
from ajobs.client.storage.workers import workers_bucket
from ajobs.protocol.codec import encode
from ajobs.protocol.errors import AjobsError, StorageError
from ajobs.protocol.presence import MOST_RUNNING, RunningTask, WorkerPresence, WorkerQueue
from ajobs.protocol.timestamps import format_timestamp

if TYPE_CHECKING:
    import logging

    from ajobs.worker.worker import Worker

BEAT_S = 5.0
"""Seconds between two announcements; the bucket forgets a worker after a multiple of it."""


class Presence:
    """Keeps a worker's entry in the bucket of workers."""

    def __init__(self, worker: Worker, name: str | None, logger: logging.Logger) -> None:
        """Announce ``worker`` as ``name``, its host and process id when there is none."""
        self.id = new_id()
        self._worker = worker
        self._host = socket.gethostname()
        self._name = name or f"{self._host}-{os.getpid()}"
        self._started = format_timestamp(time.time_ns())
        self._logger = logger

    @asynccontextmanager
    async def announced(self) -> AsyncGenerator[None]:
        """Announce the worker for as long as the block runs. One that may not is logged and works all the same."""
        client = self._worker.client
        try:
            bucket = await workers_bucket(client.storage, client.options, create=True)
        except StorageError as e:
            self._logger.warning("this worker is not announced: %s", e)
            yield
            return
        assert bucket is not None  # noqa: S101 - it was made

        async def beat() -> None:
            while True:
                # Without a connection nobody can be told; the next beat will.
                with suppress(AjobsError):
                    await bucket.put(self.id, encode(self.document()))
                await asyncio.sleep(BEAT_S)

        beating = asyncio.create_task(beat(), name="announce the worker")
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            if client.storage.connection.is_connected:
                with suppress(AjobsError):
                    await bucket.delete(self.id)

    def document(self) -> WorkerPresence:
        """Return what there is to tell right now."""
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
