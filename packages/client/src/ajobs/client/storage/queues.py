"""Queues on the server: create, join, inspect, change, purge, delete."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypedDict, Unpack

import msgspec

from ajobs.client.storage.jetstream.api import JetStream, Json
from ajobs.client.storage.jetstream.errors import ConsumerExistsError, ConsumerNotFoundError, StreamNotFoundError
from ajobs.client.storage.provision import ensure_stream, find_stream
from ajobs.protocol.durations import HOUR_NS, Duration, as_ns, format_duration
from ajobs.protocol.errors import (
    ConfigurationError,
    JetStreamNotEnabledError,
    QueueAlreadyExistsError,
    QueueConsumerNotFoundError,
    QueueNotFoundError,
    RequestTimeoutError,
    StorageError,
)
from ajobs.protocol.names import check_name
from ajobs.protocol.queue import (
    UNLIMITED,
    Queue,
    queue_consumer_config,
    queue_from_config,
    queue_stream_config,
)
from ajobs.protocol.subjects import ALL_ITEMS, QUEUE_CONSUMER, QUEUE_STREAM_PREFIX, queue_stream
from ajobs.protocol.timestamps import format_timestamp

_PAGE = 64

LONGEST_PAUSE_NS = 100 * 365 * 24 * HOUR_NS
"""The duration of a pause without one, in nanoseconds."""

RESUME_NS = 100 * 10**6
"""Nanoseconds after which delivery from a resumed queue continues."""


class QueueInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a queue and the number of its items."""

    queue: Queue
    replicas: int
    memory: bool
    created: str
    """When it was created, as RFC 3339."""
    items: int
    """Work items in the queue, delivered or not."""
    size_bytes: int
    in_progress: int
    """Items that were delivered and not yet acknowledged, including those that wait for a retry."""
    waiting: int
    """Items that were never delivered or are due for redelivery."""
    redelivered: int
    pulls: int
    """Open requests of workers for items."""
    paused_until: str | None
    """The end of the pause, as RFC 3339, or ``None`` if the queue is not paused."""
    first_item: str
    """When the oldest item was enqueued, as RFC 3339; the zero time for an empty queue."""
    last_item: str
    delivered: int
    """The sequence of the newest item that was delivered, 0 before the first."""


class QueueChanges(TypedDict, total=False):
    """The settings of a queue that can be changed. A setting that is missing or ``None`` stays as it is."""

    max_age: Duration | None
    """How long a work item may wait; 0: without limit."""
    max_entries: int | None
    """How many work items fit; 0: no limit."""
    max_tries: int | None
    """How often the server delivers an item; -1: no limit but the task's own."""
    max_run_time: Duration | None
    """How long a handler may take, and after which time a lost worker's item is delivered again."""
    max_concurrent: int | None
    """How many items all workers together may have in progress."""
    replicas: int | None
    """On how many servers the queue is kept, 1 to 5."""


class QueueStore:
    """Manages queues."""

    def __init__(self, jetstream: JetStream) -> None:
        """Use ``jetstream``."""
        self._jetstream = jetstream

    async def create(self, queue: Queue, *, replicas: int, memory: bool) -> Queue:
        """Create a queue.

        Raises:
            QueueAlreadyExistsError: A queue with this name exists.
            StorageError: The server refuses the settings.
        """
        if await find_stream(self._jetstream, queue_stream(queue.name)) is not None:
            msg = f"queue {queue.name} already exists: join it, or configure it"
            raise QueueAlreadyExistsError(msg)
        return await self.ensure(queue, replicas=replicas, memory=memory)

    async def ensure(self, queue: Queue, *, replicas: int, memory: bool) -> Queue:
        """Join a queue, create it first if it does not exist, and return its settings on the server."""
        stream = await ensure_stream(self._jetstream, queue_stream_config(queue, replicas=replicas, memory=memory))
        try:
            consumer = await self._consumer(queue.name)
        except QueueConsumerNotFoundError:
            consumer = await self._create_consumer(queue)
        return queue_from_config(queue.name, stream["config"], consumer["config"])

    async def _create_consumer(self, queue: Queue) -> Json:
        stream, config = queue_stream(queue.name), queue_consumer_config(queue)
        body = {"stream_name": stream, "config": config, "action": "create"}
        try:
            return await self._jetstream.call(f"CONSUMER.CREATE.{stream}.{QUEUE_CONSUMER}", body)
        except ConsumerExistsError:
            # Another client created it with other settings meanwhile.
            return await self._consumer(queue.name)

    async def join(self, name: str) -> Queue:
        """Return the settings of an existing queue.

        Raises:
            QueueNotFoundError: The queue does not exist.
            QueueConsumerNotFoundError: The queue has no consumer.
        """
        stream, consumer = await self._both(name)
        return queue_from_config(name, stream["config"], consumer["config"])

    async def names(self) -> list[str]:
        """Return the names of all queues, sorted."""
        found: list[str] = []
        while True:
            page = await self._jetstream.ask("STREAM.NAMES", {"subject": ALL_ITEMS, "offset": len(found)})
            streams: list[str] = page.get("streams") or []
            found.extend(streams)
            if not streams or len(found) >= page["total"]:
                break
        return sorted(n.removeprefix(QUEUE_STREAM_PREFIX) for n in found if n.startswith(QUEUE_STREAM_PREFIX))

    async def info(self, name: str) -> QueueInfo:
        """Return the settings of a queue and the number of its items. Raises as `join` does."""
        stream, consumer = await self._both(name)
        config, state = stream["config"], stream["state"]
        return QueueInfo(
            queue=queue_from_config(name, config, consumer["config"]),
            replicas=config.get("num_replicas", 1),
            memory=config.get("storage") == "memory",
            created=stream["created"],
            items=state["messages"],
            size_bytes=state["bytes"],
            in_progress=consumer["num_ack_pending"],
            waiting=consumer["num_pending"],
            redelivered=consumer["num_redelivered"],
            pulls=consumer["num_waiting"],
            paused_until=consumer["config"].get("pause_until") if consumer.get("paused") else None,
            first_item=state["first_ts"],
            last_item=state["last_ts"],
            delivered=consumer["delivered"]["stream_seq"],
        )

    async def described(self, name: str) -> tuple[Json, Json]:
        """Return the info of a queue's stream and of its consumer, as the server sends them. Raises as `join` does."""
        return await self._both(name)

    async def all(self) -> list[QueueInfo]:
        """Return all queues, sorted by name, without those deleted meanwhile."""
        names = await self.names()
        found: list[QueueInfo] = []
        for start in range(0, len(names), _PAGE):
            page = names[start : start + _PAGE]
            infos = await asyncio.gather(*map(self.info, page), return_exceptions=True)
            for info in infos:
                if isinstance(info, QueueInfo):
                    found.append(info)
                elif not isinstance(info, QueueNotFoundError):
                    raise info
        return found

    async def configure(self, name: str, **changes: Unpack[QueueChanges]) -> Queue:
        """Change the given settings, and return all settings.

        Raises:
            QueueNotFoundError: The queue does not exist.
            ConfigurationError: A setting is unknown or out of range.
            InvalidDurationError: A duration is not valid.
            StorageError: The server refuses the change.
        """
        unknown = changes.keys() - QueueChanges.__optional_keys__
        if unknown:
            known = ", ".join(sorted(QueueChanges.__optional_keys__))
            raise ConfigurationError(f"unknown queue setting {', '.join(sorted(unknown))}: choose from {known}")
        given: dict[str, Any] = {key: value for key, value in changes.items() if value is not None}
        replicas = given.pop("replicas", None)
        stream, consumer = await self._both(name)
        before = queue_from_config(name, stream["config"], consumer["config"])
        wanted = msgspec.structs.replace(before, **given)
        if wanted == before and replicas is None:
            return before
        if replicas is not None and replicas < 1:
            msg = f"replicas is {replicas}: use 1 to 5"
            raise ConfigurationError(msg)
        max_age_ns = as_ns(wanted.max_age)
        stream_config: Json = stream["config"] | {
            "max_age": max_age_ns,
            "max_msgs": wanted.max_entries or UNLIMITED,
            "num_replicas": replicas or stream["config"].get("num_replicas", 1),
        }
        if max_age_ns:
            stream_config["duplicate_window"] = min(stream_config.get("duplicate_window", max_age_ns), max_age_ns)
        changed = consumer["config"] | {
            "ack_wait": as_ns(wanted.max_run_time),
            "max_deliver": wanted.max_tries or UNLIMITED,
            "max_ack_pending": wanted.max_concurrent,
        }
        full_name = queue_stream(name)
        stream = await self._jetstream.call(f"STREAM.UPDATE.{full_name}", stream_config)
        consumer = await self._jetstream.call(
            f"CONSUMER.CREATE.{full_name}.{QUEUE_CONSUMER}",
            {"stream_name": full_name, "config": changed, "action": "update"},
        )
        return queue_from_config(name, stream["config"], consumer["config"])

    async def pause(self, name: str, duration_ns: int | None = None) -> None:
        """Stop delivery to all workers for some nanoseconds; without them, until `resume`. Running tasks continue.

        Raises:
            QueueNotFoundError: The queue does not exist.
            ConfigurationError: The time is longer than `LONGEST_PAUSE_NS`.
            StorageError: The server is older than 2.11 and cannot.
        """
        duration_ns = LONGEST_PAUSE_NS if duration_ns is None else duration_ns
        if duration_ns > LONGEST_PAUSE_NS:
            longest = format_duration(LONGEST_PAUSE_NS)
            raise ConfigurationError(f"invalid duration {format_duration(duration_ns)}: the maximum is {longest}")
        await self._set_pause(name, time.time_ns() + duration_ns)

    async def resume(self, name: str) -> None:
        """Resume delivery. Raises as `pause` does."""
        # A pause that ends wakes the open requests of workers. A pause that is removed does not.
        await self._set_pause(name, time.time_ns() + RESUME_NS)

    async def _set_pause(self, name: str, until_ns: int) -> None:
        await self._both(name)
        body = {"pause_until": format_timestamp(until_ns)}
        try:
            await self._jetstream.call(f"CONSUMER.PAUSE.{queue_stream(name)}.{QUEUE_CONSUMER}", body)
        except (JetStreamNotEnabledError, RequestTimeoutError) as e:
            msg = f"queue {name} cannot be paused or resumed: this needs nats-server 2.11 or newer"
            raise StorageError(msg) from e

    async def purge(self, name: str) -> int:
        """Remove all work items and return their number. Their tasks stay as they are.

        Raises:
            QueueNotFoundError: The queue does not exist.
        """
        return (await self._on_stream(self._jetstream.call, f"STREAM.PURGE.{queue_stream(name)}", name))["purged"]

    async def delete(self, name: str) -> None:
        """Delete a queue and its work items. Their tasks stay as they are.

        Raises:
            QueueNotFoundError: The queue does not exist.
        """
        await self._on_stream(self._jetstream.call, f"STREAM.DELETE.{queue_stream(name)}", name)

    async def _both(self, name: str) -> tuple[Json, Json]:
        stream = await self._on_stream(self._jetstream.ask, f"STREAM.INFO.{queue_stream(name)}", name)
        return stream, await self._consumer(name)

    async def _consumer(self, name: str) -> Json:
        try:
            return await self._on_stream(
                self._jetstream.ask, f"CONSUMER.INFO.{queue_stream(name)}.{QUEUE_CONSUMER}", name
            )
        except ConsumerNotFoundError as e:
            msg = f"queue {name} has no consumer {QUEUE_CONSUMER}: join it once without bind to create it"
            raise QueueConsumerNotFoundError(msg) from e

    async def _on_stream(self, do: Callable[[str], Awaitable[Json]], call: str, name: str) -> Json:
        check_name("queue name", name)
        try:
            return await do(call)
        except StreamNotFoundError as e:
            msg = f"queue {name} does not exist: create it, or check the name"
            raise QueueNotFoundError(msg) from e
