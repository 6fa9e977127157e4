"""Read a whole stream of any size with little memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ajobs.client.storage.jetstream.api import JetStream, Json
from ajobs.client.storage.jetstream.delivery import Delivery
from ajobs.client.storage.jetstream.errors import ConsumerNotFoundError
from ajobs.client.storage.jetstream.pull import PullSubscription
from ajobs.protocol.durations import MINUTE_NS
from ajobs.protocol.errors import StorageError

if TYPE_CHECKING:
    from ajobs.client.nats.connection import Connection

PAGE = 500
"""The number of messages that are requested ahead."""

SILENCE_S = 2.0
"""Seconds without a message after which to ask for the number of remaining ones."""


async def scan(
    connection: Connection,
    jetstream: JetStream,
    stream: str,
    subject: str | None = None,
    start: int = 1,
    *,
    ahead: int = 0,
) -> AsyncGenerator[Delivery]:
    """Yield the messages of a stream, oldest first, up to its end.

    Args:
        connection: The connection to read from.
        jetstream: The API on it.
        stream: The stream's name.
        subject: Only messages whose subject matches.
        start: The sequence to start with.
        ahead: The number of messages to request ahead; 0 for as many as fast reading takes.

    Raises:
        StorageError: The stream does not exist.
    """
    pending: int | None = 1
    while pending:
        consumer = await _create_consumer(jetstream, stream, subject, start)
        name, pending = consumer["name"], consumer["num_pending"]
        here: asyncio.Queue[Delivery] = asyncio.Queue()
        try:
            async with PullSubscription.open(
                connection,
                jetstream.requests,
                subject=jetstream.subject(f"CONSUMER.MSG.NEXT.{stream}.{name}"),
                wanted=lambda here=here: (ahead or PAGE) - here.qsize(),
                deliver=here.put_nowait,
            ) as pull:
                while pending:
                    pull.top_up()
                    try:
                        if here.empty():
                            async with asyncio.timeout(SILENCE_S):
                                delivery = await here.get()
                        else:
                            delivery = here.get_nowait()
                    except TimeoutError:
                        # The remaining messages may be deleted, or the consumer may be gone with its server.
                        pending = await _pending(jetstream, stream, name)
                        if pending is None:
                            pending = 1
                            break
                        continue
                    start, pending = delivery.sequence + 1, delivery.pending
                    yield delivery
        finally:
            with suppress(StorageError):
                await jetstream.call(f"CONSUMER.DELETE.{stream}.{name}")


async def _create_consumer(jetstream: JetStream, stream: str, subject: str | None, start: int) -> Json:
    config: dict[str, Any] = {
        "ack_policy": "none",
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": start,
        "replay_policy": "instant",
        "inactive_threshold": MINUTE_NS,
        "mem_storage": True,
        "num_replicas": 1,
    }
    if subject is not None:
        config["filter_subject"] = subject
    # An unanswered request is repeated. A superfluous consumer expires by itself.
    return await jetstream.ask(f"CONSUMER.CREATE.{stream}", {"stream_name": stream, "config": config})


async def _pending(jetstream: JetStream, stream: str, name: str) -> int | None:
    """Return how many messages a consumer has yet to deliver, or ``None`` if it is gone."""
    try:
        return (await jetstream.ask(f"CONSUMER.INFO.{stream}.{name}"))["num_pending"]
    except ConsumerNotFoundError:
        return None
