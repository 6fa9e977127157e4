"""All of the storage behind one connection, and the only way to it from above.

Modules above the storage use its parts and methods, never its connection, its requests or JetStream itself: those
attributes are for the parts. A test checks that.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from ajobs.client.nats.requests import Reply, Requests
from ajobs.client.storage import browse, task_store
from ajobs.client.storage.events import EventPublisher, EventStream, watch
from ajobs.client.storage.items import WorkItems
from ajobs.client.storage.jetstream.api import JetStream, Json
from ajobs.client.storage.jetstream.buckets import Bucket
from ajobs.client.storage.jetstream.delivery import Delivery
from ajobs.client.storage.jetstream.pull import PullSubscription
from ajobs.client.storage.jetstream.scan import scan
from ajobs.client.storage.provision import ensure_buckets, ensure_stream, ensure_tasks_stream, find_stream
from ajobs.client.storage.queues import QueueStore
from ajobs.client.storage.task_store import StoreInfo
from ajobs.client.storage.tasks import Stored, TaskStore
from ajobs.protocol.durations import as_ns, as_seconds
from ajobs.protocol.errors import CorruptTaskError
from ajobs.protocol.subjects import QUEUE_CONSUMER, TASKS_STREAM, queue_stream
from ajobs.protocol.task import Task

if TYPE_CHECKING:
    from nats.aio.msg import Msg

    from ajobs.client.nats.connection import Connection
    from ajobs.client.options import ClientOptions


class Storage(NamedTuple):
    """Tasks, items, queues, events and buckets on the server."""

    connection: Connection
    requests: Requests
    jetstream: JetStream
    tasks: TaskStore
    items: WorkItems
    queues: QueueStore
    events: EventPublisher

    @classmethod
    @asynccontextmanager
    async def open(cls, connection: Connection, options: ClientOptions) -> AsyncGenerator[Storage]:
        """Use the storage over a connection until the end of the block, and create what is missing if allowed.

        Raises:
            JetStreamNotEnabledError: JetStream is not enabled on the server or for this account.
            StorageError: The server refuses to create a stream or bucket.
        """
        async with Requests.open(connection, as_seconds(options.request_timeout)) as requests:
            jetstream = JetStream(requests, connection.api_prefix, patience_s=as_seconds(options.patience))
            events = EventPublisher(requests)
            tasks = TaskStore(jetstream, events)
            items = WorkItems(jetstream)
            storage = cls(connection, requests, jetstream, tasks, items, QueueStore(jetstream), events)
            await storage.prepare(options)
            yield storage

    async def prepare(self, options: ClientOptions) -> None:
        """Create what is missing, unless the options forbid it, and find out how tasks are best read."""
        if options.no_storage_init:
            info = await find_stream(self.jetstream, TASKS_STREAM)
        else:
            info = await self.create_stores(
                replicas=options.replicas,
                memory=options.memory_storage,
                retention_ns=as_ns(options.task_retention),
            )
        if info is not None:
            config = info["config"]
            self.tasks.direct_get = bool(config.get("allow_direct"))
            self.tasks.direct_is_exact = self.tasks.direct_get and config.get("num_replicas", 1) == 1

    # ---- streams and buckets

    async def create_stores(self, *, replicas: int, memory: bool, retention_ns: int) -> Json:
        """Create the task store and the buckets if they are missing, and return the info of the task store's stream.

        Raises:
            StorageError: The server refuses to create one.
        """
        info = await ensure_tasks_stream(self.jetstream, replicas=replicas, memory=memory, retention_ns=retention_ns)
        await self.create_buckets(replicas=replicas, memory=memory)
        return info

    async def create_buckets(self, *, replicas: int, memory: bool) -> None:
        """Create the buckets for configuration and elections if they are missing. Raises as `create_stores` does."""
        await ensure_buckets(self.jetstream, replicas=replicas, memory=memory)

    async def create_stream(self, config: Json) -> None:
        """Create a stream with this configuration if none has its name. Raises as `create_stores` does."""
        await ensure_stream(self.jetstream, config)

    async def find_stream(self, name: str) -> Json | None:
        """Return a stream's info as the server sends it, or ``None`` if the stream does not exist."""
        return await find_stream(self.jetstream, name)

    async def account_info(self) -> Json:
        """Return the account's use of JetStream and its limits, as the server sends them."""
        return await self.jetstream.ask("INFO")

    def bucket(self, name: str) -> Bucket:
        """Return a key-value bucket, which need not exist yet."""
        return Bucket(self.connection, self.jetstream, name)

    # ---- the task store as a whole

    def browse(
        self,
        *,
        matches: Callable[[Task], bool],
        until_ns: int,
        on_corrupt: Callable[[CorruptTaskError], None],
        after: int = 0,
        ahead: int = 0,
    ) -> AsyncGenerator[Stored]:
        """Yield stored tasks, least recently changed first. See `ajobs.client.storage.browse`."""
        return browse.browse(
            self.connection,
            self.jetstream,
            matches=matches,
            until_ns=until_ns,
            on_corrupt=on_corrupt,
            after=after,
            ahead=ahead,
        )

    async def messages(self) -> AsyncGenerator[Delivery]:
        """Yield the messages of the task store, least recently changed first, decodable or not."""
        async with aclosing(scan(self.connection, self.jetstream, TASKS_STREAM)) as messages:
            async for message in messages:
                yield message

    async def info(self) -> StoreInfo:
        """Return the settings and the size of the task store. See `task_store.store_info`."""
        return await task_store.store_info(self.jetstream)

    async def configure(self, *, retention_ns: int | None, replicas: int | None) -> StoreInfo:
        """Change settings of the task store. See `task_store.configure_store`."""
        return await task_store.configure_store(self.jetstream, retention_ns=retention_ns, replicas=replicas)

    async def purge(self) -> int:
        """Delete all tasks and return their number. See `task_store.purge_store`."""
        return await task_store.purge_store(self.jetstream)

    # ---- messages

    def pull(
        self,
        queue: str,
        *,
        wanted: Callable[[], int],
        deliver: Callable[[Delivery], None],
        on_pull: Callable[[], None],
        on_failure: Callable[[], None],
    ) -> AbstractAsyncContextManager[PullSubscription]:
        """Receive the items of a queue until the end of the block. See `PullSubscription.open`."""
        return PullSubscription.open(
            self.connection,
            self.requests,
            subject=self.jetstream.subject(f"CONSUMER.MSG.NEXT.{queue_stream(queue)}.{QUEUE_CONSUMER}"),
            wanted=wanted,
            deliver=deliver,
            on_pull=on_pull,
            on_failure=on_failure,
        )

    def watch(self, subject: str) -> AbstractAsyncContextManager[EventStream]:
        """Watch the events on a subject until the end of the block."""
        return watch(self.connection, subject)

    @asynccontextmanager
    async def listening(self, subject: str, receive: Callable[[Msg], Awaitable[None]]) -> AsyncGenerator[None]:
        """Pass messages on a subject to ``receive`` until the end of the block, from its beginning on.

        Messages that are published while the connection is down are lost.
        """
        subscription = await self.connection.subscribe(subject, receive)
        try:
            await self.connection.synchronize()
            yield
        finally:
            await self.connection.unsubscribe(subscription)

    async def request(self, subject: str, data: bytes, headers: bytes, timeout_s: float) -> Reply:
        """Send a request to a service that is not JetStream. Raises as `Requests.request` does."""
        return await self.requests.request(subject, data, headers, timeout_s)

    async def publish(self, subject: str, data: bytes) -> None:
        """Publish a message without waiting for an answer. Raises as `Requests.publish` does."""
        await self.requests.publish(subject, data)

    async def make_room(self) -> None:
        """Wait while too much is waiting to be sent."""
        if self.requests.is_full:
            await self.requests.flush()

    @property
    def max_payload(self) -> int:
        """The size in bytes of the largest message that the server accepts."""
        return self.connection.nats.max_payload
