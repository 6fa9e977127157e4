"""The client: what producers and services use."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from ajobs.client.connecting import open_storage
from ajobs.client.observability.tracing import injector
from ajobs.client.options import (
    ClientOptions,
    Keys,
)
from ajobs.client.schedules.schedules import Schedules
from ajobs.client.schedules.trust import Trust
from ajobs.client.settings import Settings
from ajobs.client.storage.elections import list_leaders
from ajobs.client.storage.events import EventStream
from ajobs.client.storage.queues import QueueChanges, QueueInfo
from ajobs.client.storage.storage import Storage
from ajobs.client.storage.task_store import StoreInfo
from ajobs.client.storage.tasks import Stored
from ajobs.client.storage.workers import list_workers
from ajobs.client.tasks.bulk import ENQUEUE_WINDOW, Bulk, BulkResult
from ajobs.client.tasks.enqueue import Enqueuer
from ajobs.client.tasks.filter import Matcher, TaskFilter
from ajobs.client.tasks.idempotency import Idempotency, Once
from ajobs.client.tasks.new import TaskOptions, make_task
from ajobs.client.tasks.pages import PAGE, TaskPage, page_start, read_page
from ajobs.client.tasks.retry import retry_task
from ajobs.client.tasks.wait import check_complete, wait_for
from ajobs.protocol.codec import decode_result
from ajobs.protocol.durations import Duration, as_ns, as_seconds
from ajobs.protocol.errors import ConfigurationError, CorruptTaskError
from ajobs.protocol.names import check_name
from ajobs.protocol.presence import WorkerPresence
from ajobs.protocol.queue import Queue
from ajobs.protocol.signing import verify_task
from ajobs.protocol.subjects import ALL_EVENTS, task_state_subject
from ajobs.protocol.task import Task

if TYPE_CHECKING:
    from nats.aio.client import Client as NatsClient

T = TypeVar("T")


class Client:
    """Stores, enqueues, loads and watches tasks, and manages queues.

    Make one with `connect` for each process and use it for all that the process does. All methods may be called at
    the same time from any number of asyncio tasks of the loop it was connected in.
    """

    def __init__(self, storage: Storage, queue: Queue, keys: Keys, options: ClientOptions) -> None:
        """Put the parts together. See `connect`."""
        self.storage = storage
        """The storage, for services that do more than this class."""
        self.connection = storage.connection
        """The connection to NATS: whether it is open, and callbacks for when that changes."""
        self.queue = queue
        """The default queue's settings, as they are on the server."""
        self.keys = keys
        """The keys that sign and verify tasks."""
        self.options = options
        """The options that were passed to `connect`."""
        self.metrics_port: int | None = None
        """The port that metrics are served on, if they are."""
        self._logger = logging.getLogger("ajobs.client")
        self.enqueuer = Enqueuer(storage, keys, queue.name, injector() if options.trace else None)
        """The single steps of enqueuing, for services that do something between them."""
        self.schedules = Schedules(storage, self.enqueuer, Trust(options, keys))
        """The schedules, which create tasks at times."""
        self.idempotency = Idempotency(self.enqueuer, options, create=not options.no_storage_init)
        """Enqueuing with idempotency keys, for services. See `enqueue_once`."""

    @classmethod
    def connect(
        cls,
        servers: str | Iterable[str] | None = None,
        *,
        connection: NatsClient | None = None,
        logger: logging.Logger | None = None,
        **settings: Unpack[Settings],
    ) -> AbstractAsyncContextManager[Client]:
        """Connect to NATS for as long as the ``async with`` block runs, and make what is missing there.

        Args:
            servers: One or several URLs. Without them, and without ``context``, what the environment says
                (``NATS_URL``, ``NATS_CONTEXT``, ...), else the selected context of the ``nats`` command line, else
                the loopback address.
            connection: An open NATS connection to use instead; it stays open afterwards.
            logger: Where to log, instead of ``ajobs.client``.
            settings: Fields of `ConnectOptions` and `ClientOptions`.

        Raises:
            ConfigurationError: Settings contradict each other.
            AuthenticationError: The server refused the credentials.
            ConnectionFailedError: No server could be reached.
            JetStreamNotEnabledError: The server or the account has no JetStream.
            QueueNotFoundError: ``bind`` is set and the queue does not exist.
            StorageError: The server refuses to create a stream, bucket or queue.
        """
        return cls._connect(servers, connection, logger, settings)

    @classmethod
    @asynccontextmanager
    async def _connect(
        cls,
        servers: str | Iterable[str] | None,
        nats: NatsClient | None,
        logger: logging.Logger | None,
        settings: Settings,
    ) -> AsyncGenerator[Client]:
        async with open_storage(servers, nats, logger, settings) as opened:
            client = cls(opened.storage, opened.queue, opened.keys, opened.options)
            client.metrics_port = opened.metrics_port
            if logger is not None:
                client._logger = logger
            try:
                yield client
            finally:
                await client.enqueuer.unfinished.close()

    # ---- tasks

    def new_task(self, task_type: str, payload: Any = None, **options: Unpack[TaskOptions]) -> Task:
        """Create a task without storing it, for `enqueue` or `enqueue_many`.

        Args:
            task_type: Which handlers it is for, such as ``email:new``.
            payload: Any value that msgspec encodes as JSON; ``bytes`` are taken as they are.
            options: See `TaskOptions`.

        Raises:
            InvalidNameError: The type, the id, the queue or a dependency is not a valid name.
            InvalidPayloadError: The payload cannot be encoded.
            ConfigurationError: ``max_tries`` is negative, the deadline has no zone, the task depends on itself, or an
                option does not exist.
        """
        return make_task(task_type, payload, **options)

    async def enqueue(
        self, task: Task | str, payload: Any = None, *, require_queue: bool = False, **options: Unpack[TaskOptions]
    ) -> Task:
        """Store a task and put it into its queue.

        With the id and the content of a stored task that was not started, the call makes sure that the stored task
        has its item, and returns it. A cancelled call either stores nothing or continues in the background.

        Args:
            task: A task of `new_task`, or a task type to make one of.
            payload: With a task type: its payload.
            require_queue: Check that the queue exists first, and store nothing if it does not.
            options: With a task type: see `TaskOptions`. With a task: ``queue`` alone, for another queue than its own.

        Returns:
            The task as it is stored: with its queue, and signed when the client has a signing key.

        Raises:
            TaskAlreadyExistsError: A task with this id is stored and was started before, or has other content.
            TaskCannotEnqueueError: It is not in a state to be enqueued in.
            QueueNotFoundError: The queue does not exist. The task is stored as ``queue_error`` and can be retried.
            QueueFullError: The queue is full. The task is stored as ``queue_error``.
            PayloadTooLargeError: The payload is larger than the server takes; nothing is stored.
            RequestTimeoutError: The server could not be reached. Repeat the call with the same id and content.
            ConfigurationError: An option does not exist, or is given for a task that was already created.
        """
        if isinstance(task, str):
            return await self.enqueuer.enqueue(make_task(task, payload, **options), None, require_queue=require_queue)
        queue = options.pop("queue", None)
        if payload is not None or options:
            raise ConfigurationError(f"task {task.id} was already created: give its payload and options to new_task")
        return await self.enqueuer.enqueue(task, queue, require_queue=require_queue)

    async def enqueue_once(
        self, key: str, task_type: str, payload: Any = None, *, owner: str = "", **options: Unpack[TaskOptions]
    ) -> Once:
        """Enqueue one task for a key: repeats within ten minutes return the task of the first call.

        Args:
            key: The idempotency key, 1 to 128 characters.
            task_type: The type of the task.
            payload: Its payload.
            owner: Keys of different owners are independent of each other.
            options: See `TaskOptions`.

        Returns:
            The task, and whether an earlier call created it.

        Raises:
            InvalidIdempotencyKeyError: The key is empty or too long.
            IdempotencyKeyReusedError: The key was used with another type, payload or options.
            AjobsError: As `enqueue` does.
        """
        return await self.idempotency.enqueue_task(key, owner, task_type, payload, **options)

    async def enqueue_many(
        self,
        tasks: Iterable[Task],
        *,
        queue: str | None = None,
        window: int = ENQUEUE_WINDOW,
        require_queue: bool = False,
    ) -> BulkResult:
        """Enqueue many tasks of `new_task`, several on their way at once.

        Args:
            tasks: The tasks; an iterator is read as fast as they are stored.
            queue: A queue for all of them instead of their own.
            window: How many are on their way at once.
            require_queue: Store nothing for tasks whose queue does not exist.

        Returns:
            The tasks that are enqueued, and those that are not with the reason for each.
        """
        return await Bulk(self.enqueuer, queue, require_queue=require_queue).run(tasks, window)

    async def load(self, task_id: str) -> Task:
        """Load a task as it is now.

        Raises:
            TaskNotFoundError: No task with this id is stored.
            CorruptTaskError: What is stored cannot be decoded.
            TaskNotSignedError: Signatures are required and it has none.
            TaskSignatureError: Its signature is wrong.
        """
        task = (await self.storage.tasks.load(check_name("task id", task_id))).task
        self.verify(task)
        return task

    def verify(self, task: Task) -> None:
        """Make sure that a task is signed as this client's keys require. Raises as `load` does."""
        if self.keys.verifier is not None:
            verify_task(task, self.keys.verifier, optional=self.keys.optional)

    async def retry(self, task_id: str, *, queue: str | None = None, force: bool = False) -> Task:
        """Enqueue a stored task once more, with all its tries before it again.

        Args:
            task_id: The task.
            queue: Move it to this queue; without it, it stays in its own.
            force: Retry it although a worker seems to run it.

        Raises:
            TaskNotFoundError: No task with this id is stored.
            TaskAlreadyActiveError: A worker runs it, and ``force`` is not set.
            TaskPastDeadlineError: It would not be started any more.
            TaskChangedError: Another client or a worker changed it meanwhile.
            QueueNotFoundError: The queue does not exist. A task that was to be moved stays unchanged.
        """
        return await retry_task(self.enqueuer, check_name("task id", task_id), queue, force=force)

    async def delete(self, task_id: str) -> None:
        """Delete a task. A work item for it is dropped by the worker that gets it.

        Raises:
            TaskNotFoundError: No task with this id is stored.
            TaskChangedError: Another client or a worker changed it meanwhile.
        """
        await self.storage.tasks.delete(check_name("task id", task_id))

    async def wait(self, task_id: str, *, timeout: Duration | None = None) -> Task:  # noqa: ASYNC109 - part of the promise
        """Return a task once it is in a final state, whichever.

        Args:
            task_id: The task.
            timeout: How long to wait at most; without it, forever.

        Raises:
            RequestTimeoutError: The task did not finish in time.
            TaskNotFoundError: No task with this id is stored.
            TaskDiscardedError: The task finished, and its worker discarded it.
        """
        timeout_s = None if timeout is None else as_seconds(timeout, "timeout", signed=True)
        task = await wait_for(self.storage, check_name("task id", task_id), timeout_s)
        self.verify(task)
        return task

    @overload
    async def result(self, task_id: str, result_type: type[T], *, timeout: Duration | None = None) -> T: ...  # noqa: ASYNC109 - part of the promise

    @overload
    async def result(self, task_id: str, result_type: Any = Any, *, timeout: Duration | None = None) -> Any: ...  # noqa: ASYNC109 - part of the promise

    async def result(self, task_id: str, result_type: Any = Any, *, timeout: Duration | None = None) -> Any:  # noqa: ASYNC109 - part of the promise
        """Wait for a task, and return the result of its handler.

        Args:
            task_id: The task.
            result_type: The type to decode the result to.
            timeout: The longest time to wait. Default: no limit.

        Raises:
            TaskFailedError: It ended in another state than complete; the error has the state and the task's last_err.
            InvalidPayloadError: The result is not of that type.
            RequestTimeoutError: It was not finished in time.
            TaskNotFoundError: No task with this id is stored.
        """
        return decode_result(check_complete(await self.wait(task_id, timeout=timeout)).result, result_type)

    async def tasks(self, **wanted: Unpack[TaskFilter]) -> AsyncGenerator[Task]:
        """Iterate over all stored tasks, least recently changed first, however many there are.

        A task that changes meanwhile may come twice; the later one is the newer. What cannot be decoded is logged
        and passed over. Signatures are not verified.

        Args:
            wanted: Which tasks; see `TaskFilter`.
        """
        async with aclosing(self.stored_tasks(**wanted)) as found:
            async for stored in found:
                yield stored.task

    def stored_tasks(
        self, matcher: Matcher | None = None, *, after: int = 0, ahead: int = 0, **wanted: Unpack[TaskFilter]
    ) -> AsyncGenerator[Stored]:
        """Iterate as `tasks` does, with the revision of each task. For services.

        Args:
            matcher: A compiled filter instead of ``wanted``.
            after: Start after this revision of the store.
            ahead: How many tasks to request ahead of the caller, 0 for as many as fast reading takes.
            wanted: Which tasks; see `TaskFilter`.
        """
        return self.storage.browse(
            matches=(matcher or Matcher.of(**wanted)).matches,
            until_ns=time.time_ns(),
            on_corrupt=self._log_corrupt,
            after=after,
            ahead=ahead,
        )

    async def task_page(self, limit: int = PAGE, *, cursor: str = "", **wanted: Unpack[TaskFilter]) -> TaskPage:
        """Return some of the stored tasks, least recently changed first, and where to go on.

        A task that changes between two pages moves to the end, so it may come again.

        Args:
            limit: How many at most.
            cursor: The page before's `TaskPage.cursor`; empty for the first.
            wanted: Which tasks; see `TaskFilter`.

        Raises:
            ConfigurationError: The limit is not positive, or the cursor is not valid.
        """
        after = page_start(limit, cursor)
        return await read_page(self.stored_tasks(after=after, **wanted), limit)

    def _log_corrupt(self, error: CorruptTaskError) -> None:
        self._logger.warning("passed over in the task store: %s", error)

    def watch(self, task_id: str | None = None) -> AbstractAsyncContextManager[EventStream]:
        """Watch events, of one task or all of them: ``async with client.watch() as events: async for e in events``.

        Events are not stored: those published while the connection is down are lost.
        """
        subject = ALL_EVENTS if task_id is None else task_state_subject(check_name("task id", task_id))
        return self.storage.watch(subject)

    async def store_info(self) -> StoreInfo:
        """Return the settings and the size of the task store.

        Raises:
            StorageNotReadyError: The server has no task store.
        """
        return await self.storage.info()

    async def configure_store(self, *, retention: Duration | None = None, replicas: int | None = None) -> StoreInfo:
        """Change the given settings of the task store, and return its new settings and size.

        Args:
            retention: How long a task is kept after its last change; 0: until it is deleted.
            replicas: On how many servers it is kept, 1 to 5.

        Raises:
            StorageNotReadyError: The server has no task store.
            ConfigurationError: A setting is out of range.
            StorageError: The server refuses the change.
        """
        retention_ns = None if retention is None else as_ns(retention, "retention")
        return await self.storage.configure(retention_ns=retention_ns, replicas=replicas)

    async def purge_tasks(self) -> int:
        """Delete all tasks, and return how many there were. Work items stay; workers drop those without a task.

        Raises:
            StorageNotReadyError: The server has no task store.
        """
        return await self.storage.purge()

    async def leaders(self) -> dict[str, str]:
        """Return the name of the leader of each election that has one; the schedulers' is ``task_scheduler``."""
        return await list_leaders(self.storage)

    # ---- queues

    async def create_queue(self, queue: Queue) -> Queue:
        """Create a queue and return its settings as the server stored them.

        Raises:
            QueueAlreadyExistsError: A queue with this name exists.
            StorageError: The server refuses the settings.
        """
        return await self.storage.queues.create(
            queue, replicas=self.options.replicas, memory=self.options.memory_storage
        )

    async def ensure_queue(self, queue: Queue) -> Queue:
        """Return a queue's settings as they are, and make it first with these when it does not exist.

        Raises:
            StorageError: The server refuses the settings.
        """
        return await self.storage.queues.ensure(
            queue, replicas=self.options.replicas, memory=self.options.memory_storage
        )

    async def join_queue(self, name: str) -> Queue:
        """Return the settings of an existing queue.

        Raises:
            QueueNotFoundError: The queue does not exist.
        """
        return await self.storage.queues.join(name)

    async def configure_queue(self, name: str, **settings: Unpack[QueueChanges]) -> Queue:
        """Change some of a queue's settings; see `QueueChanges` for their names.

        Raises:
            QueueNotFoundError: The queue does not exist.
            ConfigurationError: A setting is out of range.
        """
        return await self.storage.queues.configure(name, **settings)

    async def pause_queue(self, name: str, *, duration: Duration | None = None) -> None:
        """Pause delivery to all workers, Go's included. Running tasks continue, and so does enqueuing.

        Args:
            name: The queue.
            duration: For how long; without it, until `resume_queue`.

        Raises:
            QueueNotFoundError: The queue does not exist.
            ConfigurationError: The time is not positive.
            StorageError: The server is older than 2.11 and cannot.
        """
        duration_ns = None if duration is None else as_ns(duration, "duration", positive=True)
        await self.storage.queues.pause(name, duration_ns)

    async def resume_queue(self, name: str) -> None:
        """Have a paused queue's items delivered again. Raises as `pause_queue` does."""
        await self.storage.queues.resume(name)

    async def purge_queue(self, name: str) -> int:
        """Remove all work items of a queue, and return how many there were. Their tasks stay as they are.

        Raises:
            QueueNotFoundError: The queue does not exist.
        """
        return await self.storage.queues.purge(name)

    async def delete_queue(self, name: str) -> None:
        """Delete a queue and its work items. Their tasks stay as they are.

        Raises:
            QueueNotFoundError: The queue does not exist.
        """
        await self.storage.queues.delete(name)

    async def queue_info(self, name: str | None = None) -> QueueInfo:
        """Return the settings and the depth of a queue. Default: the client's own queue.

        Raises:
            QueueNotFoundError: The queue does not exist.
        """
        return await self.storage.queues.info(self.queue.name if name is None else name)

    async def workers(self) -> list[WorkerPresence]:
        """Return the workers that live, as they announce themselves, sorted by name. Go's do not."""
        return await list_workers(self.storage, self.options)

    async def queues(self) -> list[QueueInfo]:
        """Return the settings and the depth of all queues, sorted by name."""
        return await self.storage.queues.all()
