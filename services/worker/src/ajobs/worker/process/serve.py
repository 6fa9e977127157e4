"""Serve a worker as a process: connect it, monitor it, announce it, and stop it on signals."""

from __future__ import annotations

import logging
import os
import threading
from datetime import timedelta
from typing import Any

import msgspec

from ajobs.client.client import Client
from ajobs.client.settings import Settings
from ajobs.protocol.durations import as_ns, format_duration
from ajobs.protocol.queue import Queue, default_queue
from ajobs.protocol.subjects import DEFAULT_QUEUE
from ajobs.runtime.health import monitored
from ajobs.runtime.program import stopped_by_signals
from ajobs.worker.options import Share, WorkerOptions
from ajobs.worker.process.presence import Presence
from ajobs.worker.process.supervisor import on_orphaned
from ajobs.worker.routing.router import Router
from ajobs.worker.running import observers
from ajobs.worker.worker import Worker

logger = logging.getLogger("ajobs.worker")

OWN_THREADS = ("ajobs-handler", "asyncio_")
"""The names of threads in pools, which end when they are idle, begin so."""


class QueueShare(msgspec.Struct, frozen=True, kw_only=True):
    """A queue by name, with its limit and weight. `Share` has the queue itself."""

    name: str
    concurrency: int | None = None
    weight: int = 1


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a worker process."""

    server: str | None
    settings: Settings
    queues: tuple[QueueShare, ...]
    new_queue: dict[str, Any]
    """Settings of queues that this worker creates."""
    worker: WorkerOptions
    """The options of the worker itself, without its queues."""
    bind: bool
    """Whether missing queues are an error. Otherwise they are created."""
    name: str | None
    monitor: int | None
    monitor_host: str


async def serve(router: Router, options: ServeOptions) -> int:
    """Run a worker until a signal stops it; return the exit status. Raises as `Client.connect` and `Worker` do."""
    first, *others = options.queues
    settings: Settings = {**options.settings, "queue": _queue(first.name, options), "bind": options.bind}
    async with Client.connect(options.server, logger=logger, **settings) as client:
        shares = [Share(client.queue, first.concurrency, first.weight)]
        for share in others:
            wanted = _queue(share.name, options)
            queue = await (client.join_queue(share.name) if options.bind else client.ensure_queue(wanted))
            shares.append(Share(queue, share.concurrency, share.weight))
        for share in shares:
            _warn_when_different(share.queue, options)
        worker = Worker(client, router, msgspec.structs.replace(options.worker, queues=shares), logger=logger)
        on_orphaned(worker.stop)
        with (
            stopped_by_signals(worker.stop, logger),
            monitored(options.monitor, options.monitor_host, worker.problems, logger),
        ):
            async with Presence(worker, options.name, logger).announced():
                await worker.run()
        logger.info("worker stopped")
        stuck = worker.stuck
    left = [thread.name for thread in threading.enumerate() if _outlives_exit(thread)]
    if stuck:
        # Python would wait for their threads at exit. Their tasks have been handed back.
        logger.warning("exiting while %d handlers still run: they did not stop when cancelled", stuck)
    elif left:
        logger.warning("exiting while threads that handlers started still run: %s", ", ".join(left))
    if stuck or left:
        logging.shutdown()
        os._exit(0)
    return 0


def _outlives_exit(thread: threading.Thread) -> bool:
    """Return whether Python would wait for a thread at exit although it is not idle."""
    return not thread.daemon and thread is not threading.main_thread() and not thread.name.startswith(OWN_THREADS)


def log_stopped_loop() -> None:
    """Log that a handler stopped the event loop, with the task types whose handlers run."""
    types = sorted({task.type for execution in list(observers.BUSY) for task in execution.running})
    logger.error(
        "a handler called loop.stop(), the worker goes on. Handlers that run now: %s", ", ".join(types) or "(none)"
    )


def _warn_when_different(queue: Queue, options: ServeOptions) -> None:
    """Warn about settings of an existing queue that differ from the requested ones."""
    for setting, wanted in options.new_queue.items():
        found = getattr(queue, setting)
        if found != wanted:
            values = (format_duration(as_ns(v)) if isinstance(v, timedelta) else v for v in (found, wanted))
            name = setting.replace("_", " ")
            text = "queue %s already exists with %s %s: ignoring the requested %s"
            logger.warning(text, queue.name, name, *values)


def _queue(name: str, options: ServeOptions) -> Queue:
    if name == DEFAULT_QUEUE:
        return msgspec.structs.replace(default_queue(), **options.new_queue)
    return Queue(name=name, **options.new_queue)
