"""The client for code that is not async: Django, Flask, scripts.

All blocking clients of a process share one background thread with one event loop. Every call hands its work to that
loop and waits; calls from any number of threads may be under way at once.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, overload

from ajobs.client.client import Client
from ajobs.client.schedules.schedules import ScheduleChanges, ScheduleInfo, Schedules, ScheduleSettings
from ajobs.client.settings import Settings
from ajobs.client.storage.queues import QueueChanges, QueueInfo
from ajobs.client.storage.task_store import StoreInfo
from ajobs.client.tasks.bulk import ENQUEUE_WINDOW, BulkResult
from ajobs.client.tasks.filter import TaskFilter
from ajobs.client.tasks.idempotency import Once
from ajobs.client.tasks.new import TaskOptions, make_task
from ajobs.client.tasks.pages import PAGE, TaskPage
from ajobs.protocol.durations import Duration
from ajobs.protocol.errors import ConnectionFailedError
from ajobs.protocol.presence import WorkerPresence
from ajobs.protocol.queue import Queue
from ajobs.protocol.task import Task

T = TypeVar("T")


class _BackgroundLoop:
    """An event loop in a daemon thread, made when it is first needed and again after a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0

    def get(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._process != os.getpid():
                self._loop = asyncio.new_event_loop()
                self._process = os.getpid()
                threading.Thread(target=self._loop.run_forever, name="ajobs-client", daemon=True).start()
            return self._loop


_background = _BackgroundLoop()


class BlockingClient:
    """`Client`, with methods that block. Use it as a context manager, or call `close` when done."""

    def __init__(self, servers: str | Iterable[str] | None = None, **settings: Unpack[Settings]) -> None:
        """Connect. Takes what `Client.connect` takes and raises what it raises."""
        self._process = os.getpid()
        self._loop = _background.get()
        self._opened: AbstractAsyncContextManager[Client] = Client.connect(servers, **settings)
        self._client = self._run(self._opened.__aenter__())
        self._is_open = True
        self.schedules = BlockingSchedules(self._client.schedules, self._run)
        """Tasks that are made again and again."""

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection. Calling it again does nothing."""
        if self._is_open:
            self._is_open = False
            self._run(self._opened.__aexit__(None, None, None))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._process != os.getpid():
            work.close()
            msg = "this client was connected before the process forked: connect in each process, after the fork"
            raise ConnectionFailedError(msg)
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            # An interrupt from the keyboard ends the waiting; the work must not go on unseen.
            future.cancel()
            raise

    def new_task(self, task_type: str, payload: Any = None, **options: Unpack[TaskOptions]) -> Task:
        """See `Client.new_task`."""
        return make_task(task_type, payload, **options)

    def enqueue(
        self, task: Task | str, payload: Any = None, *, require_queue: bool = False, **options: Unpack[TaskOptions]
    ) -> Task:
        """See `Client.enqueue`."""
        return self._run(self._client.enqueue(task, payload, require_queue=require_queue, **options))

    def enqueue_once(
        self, key: str, task_type: str, payload: Any = None, *, owner: str = "", **options: Unpack[TaskOptions]
    ) -> Once:
        """See `Client.enqueue_once`."""
        return self._run(self._client.enqueue_once(key, task_type, payload, owner=owner, **options))

    def enqueue_many(
        self,
        tasks: Iterable[Task],
        *,
        queue: str | None = None,
        window: int = ENQUEUE_WINDOW,
        require_queue: bool = False,
    ) -> BulkResult:
        """See `Client.enqueue_many`."""
        return self._run(self._client.enqueue_many(tasks, queue=queue, window=window, require_queue=require_queue))

    def load(self, task_id: str) -> Task:
        """See `Client.load`."""
        return self._run(self._client.load(task_id))

    def retry(self, task_id: str, *, queue: str | None = None, force: bool = False) -> Task:
        """See `Client.retry`."""
        return self._run(self._client.retry(task_id, queue=queue, force=force))

    def delete(self, task_id: str) -> None:
        """See `Client.delete`."""
        self._run(self._client.delete(task_id))

    def wait(self, task_id: str, *, timeout: Duration | None = None) -> Task:
        """See `Client.wait`."""
        return self._run(self._client.wait(task_id, timeout=timeout))

    @overload
    def result(self, task_id: str, result_type: type[T], *, timeout: Duration | None = None) -> T: ...

    @overload
    def result(self, task_id: str, result_type: Any = Any, *, timeout: Duration | None = None) -> Any: ...

    def result(self, task_id: str, result_type: Any = Any, *, timeout: Duration | None = None) -> Any:
        """See `Client.result`."""
        return self._run(self._client.result(task_id, result_type, timeout=timeout))

    def tasks(self, **wanted: Unpack[TaskFilter]) -> Iterator[Task]:
        """See `Client.tasks`."""
        found = self._client.tasks(**wanted)
        try:
            while (task := self._run(_next(found))) is not None:
                yield task
        finally:
            self._run(_close(found))

    def store_info(self) -> StoreInfo:
        """See `Client.store_info`."""
        return self._run(self._client.store_info())

    def task_page(self, limit: int = PAGE, *, cursor: str = "", **wanted: Unpack[TaskFilter]) -> TaskPage:
        """See `Client.task_page`."""
        return self._run(self._client.task_page(limit, cursor=cursor, **wanted))

    def configure_store(self, *, retention: Duration | None = None, replicas: int | None = None) -> StoreInfo:
        """See `Client.configure_store`."""
        return self._run(self._client.configure_store(retention=retention, replicas=replicas))

    def purge_tasks(self) -> int:
        """See `Client.purge_tasks`."""
        return self._run(self._client.purge_tasks())

    def leaders(self) -> dict[str, str]:
        """See `Client.leaders`."""
        return self._run(self._client.leaders())

    @property
    def queue(self) -> Queue:
        """See `Client.queue`."""
        return self._client.queue

    @property
    def metrics_port(self) -> int | None:
        """See `Client.metrics_port`."""
        return self._client.metrics_port

    def verify(self, task: Task) -> None:
        """See `Client.verify`."""
        self._client.verify(task)

    def ensure_queue(self, queue: Queue) -> Queue:
        """See `Client.ensure_queue`."""
        return self._run(self._client.ensure_queue(queue))

    def create_queue(self, queue: Queue) -> Queue:
        """See `Client.create_queue`."""
        return self._run(self._client.create_queue(queue))

    def join_queue(self, name: str) -> Queue:
        """See `Client.join_queue`."""
        return self._run(self._client.join_queue(name))

    def configure_queue(self, name: str, **settings: Unpack[QueueChanges]) -> Queue:
        """See `Client.configure_queue`."""
        return self._run(self._client.configure_queue(name, **settings))

    def pause_queue(self, name: str, *, duration: Duration | None = None) -> None:
        """See `Client.pause_queue`."""
        self._run(self._client.pause_queue(name, duration=duration))

    def resume_queue(self, name: str) -> None:
        """See `Client.resume_queue`."""
        self._run(self._client.resume_queue(name))

    def purge_queue(self, name: str) -> int:
        """See `Client.purge_queue`."""
        return self._run(self._client.purge_queue(name))

    def delete_queue(self, name: str) -> None:
        """See `Client.delete_queue`."""
        self._run(self._client.delete_queue(name))

    def queue_info(self, name: str | None = None) -> QueueInfo:
        """See `Client.queue_info`."""
        return self._run(self._client.queue_info(name))

    def queues(self) -> list[QueueInfo]:
        """See `Client.queues`."""
        return self._run(self._client.queues())

    def workers(self) -> list[WorkerPresence]:
        """See `Client.workers`."""
        return self._run(self._client.workers())


class BlockingSchedules:
    """`Schedules`, with methods that block."""

    def __init__(self, schedules: Schedules, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        """Run the methods of ``schedules``."""
        self._schedules = schedules
        self._run = run

    def create(self, name: str, schedule: str, task_type: str, **settings: Unpack[ScheduleSettings]) -> ScheduleInfo:
        """See `Schedules.create`."""
        return self._run(self._schedules.create(name, schedule, task_type, **settings))

    def update(self, name: str, **settings: Unpack[ScheduleChanges]) -> ScheduleInfo:
        """See `Schedules.update`."""
        return self._run(self._schedules.update(name, **settings))

    def pause(self, name: str) -> ScheduleInfo:
        """See `Schedules.pause`."""
        return self._run(self._schedules.pause(name))

    def resume(self, name: str) -> ScheduleInfo:
        """See `Schedules.resume`."""
        return self._run(self._schedules.resume(name))

    def sign(self, name: str) -> ScheduleInfo:
        """See `Schedules.sign`."""
        return self._run(self._schedules.sign(name))

    def delete(self, name: str) -> None:
        """See `Schedules.delete`."""
        self._run(self._schedules.delete(name))

    def load(self, name: str) -> ScheduleInfo:
        """See `Schedules.load`."""
        return self._run(self._schedules.load(name))

    def all(self) -> list[ScheduleInfo]:
        """See `Schedules.all`."""
        return self._run(self._schedules.all())

    def run_now(self, name: str) -> Task:
        """See `Schedules.run_now`."""
        return self._run(self._schedules.run_now(name))


async def _next(tasks: AsyncGenerator[Task]) -> Task | None:
    return await anext(tasks, None)


async def _close(tasks: AsyncGenerator[Task]) -> None:
    await tasks.aclose()
