"""Creates what is missing after a reconnect, because a NATS server can come back with an empty store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ajobs.client.storage.provision import find_stream
from ajobs.protocol.errors import AjobsError
from ajobs.protocol.subjects import TASKS_STREAM

if TYPE_CHECKING:
    from ajobs.client.options import ClientOptions
    from ajobs.client.storage.storage import Storage
    from ajobs.protocol.queue import Queue


@asynccontextmanager
async def restored(
    storage: Storage, queue: Queue, options: ClientOptions, logger: logging.Logger
) -> AsyncGenerator[None]:
    """Check streams, buckets and the queue after each reconnect until the end of the block, and create what is missing.

    With ``no_storage_init`` or ``bind`` it only logs that something is missing, as it does without the right to create.
    """
    reconnected = asyncio.Event()

    async def restore() -> None:
        while True:
            await reconnected.wait()
            reconnected.clear()
            try:
                await _restore(storage, queue, options, logger)
            except AjobsError as e:
                logger.warning("cannot check or create streams and buckets after a reconnect: %s", e)
            except Exception:
                logger.exception("the storage on NATS could not be checked after a reconnect")

    forget = storage.connection.on_reconnect(reconnected.set)
    restoring = asyncio.create_task(restore(), name="restore the storage")
    try:
        yield
    finally:
        forget()
        restoring.cancel()
        await asyncio.gather(restoring, return_exceptions=True)


async def _restore(storage: Storage, queue: Queue, options: ClientOptions, logger: logging.Logger) -> None:
    missing = await find_stream(storage.jetstream, TASKS_STREAM) is None
    if missing and options.no_storage_init:
        logger.error("NATS came back without the task store: connect a client that may create it")
        return
    if missing:
        logger.warning("NATS came back without the task store, creating it again: earlier tasks are lost")
    await storage.prepare(options)
    if options.bind:
        await storage.queues.join(queue.name)
    elif not options.no_storage_init:
        await storage.queues.ensure(queue, replicas=options.replicas, memory=options.memory_storage)
