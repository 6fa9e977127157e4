"""Repair: find tasks and work items that are stuck, and end them truthfully.

A look changes nothing. A sweep changes a task only by a compare-and-set on the version that it saw, after a grace
period, and never a task that a living worker has announced. It removes a work item only if its task is gone or ended.
So any number of janitors may run at once, and the next one completes what a killed one left.

The server does not list the items that it will not deliver again because they have reached the queue's limit of
deliveries. Three signs reveal them: the server's advisory, which may be lost; that no delivery of the queue awaits its
acknowledgement; or that the task started so long ago that a waiting worker would have received the item again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Protocol

import msgspec
from nats.aio.msg import Msg

from ajobs.client.observability.metrics import counter
from ajobs.client.storage.items import Delivery
from ajobs.client.storage.queues import QueueInfo
from ajobs.client.storage.storage import Storage
from ajobs.client.storage.tasks import Stored
from ajobs.protocol.codec import decode_task
from ajobs.protocol.durations import Duration, as_ns, as_seconds
from ajobs.protocol.errors import (
    AjobsError,
    CorruptTaskError,
    StorageError,
    TaskChangedError,
    TaskNotFoundError,
    UnavailableError,
)
from ajobs.protocol.presence import WorkerPresence
from ajobs.protocol.states import FINAL_STATES, TaskState
from ajobs.protocol.stuck import ItemState, examine
from ajobs.protocol.subjects import MAX_DELIVERIES_ADVISORIES, queue_stream
from ajobs.protocol.task import Task, tried_ns

GRACE = timedelta(minutes=10)
INTERVAL = timedelta(minutes=5)
LOOK_S = 1.0
"""Seconds after which one that was not allowed to sweep asks again."""
MOST_ITEMS = 2_000
"""The number of oldest work items of a queue that one sweep checks. Stuck items are among the oldest."""
AT_ONCE = 64
"""Questions that are on their way at once."""

TASK_WITHOUT_ITEM = "task_without_item"
TASK_WITHOUT_QUEUE = "task_without_queue"
ITEM_WITHOUT_TASK = "item_without_task"
ITEM_SPENT = "item_past_max_deliver"

REPAIRED = counter("janitor_repair_count", "Stuck tasks and work items that were ended", "kind")
SWEEPS = counter("janitor_sweep_count", "Sweeps over all tasks and queues")


class _Advisory(msgspec.Struct):
    stream: str
    stream_seq: int


class Swept(Protocol):
    """The part of a client that a janitor needs."""

    storage: Storage

    async def queues(self) -> list[QueueInfo]:
        """Return all queues."""
        ...

    async def workers(self) -> list[WorkerPresence]:
        """Return the workers that have announced themselves."""
        ...


class Stuck(msgspec.Struct, frozen=True, kw_only=True):
    """A task or work item that nothing will move any more."""

    kind: str
    """One of the kinds above, which repairs are counted by."""
    task_id: str
    queue: str
    ended: Task | None
    """The task as it would be saved, or ``None`` if only an item would be removed."""


class Janitor:
    """Sweeps the task store and the queues."""

    def __init__(self, client: Swept, *, grace: Duration = GRACE, logger: logging.Logger | None = None) -> None:
        """Use a client, and ignore tasks that changed less than ``grace`` ago."""
        self._client = client
        self._storage = client.storage
        self._grace_ns = as_ns(grace, "grace")
        self._logger = logger or logging.getLogger("ajobs.janitor")
        self._announced: set[tuple[str, int]] = set()
        self._repaired: Counter[str] = Counter()
        self._looking = False
        self._stuck: list[Stuck] = []

    async def run(self, interval: Duration = INTERVAL, *, allowed: Callable[[], bool] = lambda: True) -> None:
        """Sweep at every ``interval`` while it is ``allowed``, until cancelled."""
        interval_s = as_seconds(interval, "interval")
        async with self._storage.listening(MAX_DELIVERIES_ADVISORIES, self._receive):
            while True:
                if not allowed():
                    await asyncio.sleep(LOOK_S)
                    continue
                try:
                    await self.sweep()
                except UnavailableError as e:
                    self._logger.warning("repair failed and is repeated later: %s", e)
                await asyncio.sleep(interval_s)

    async def _receive(self, message: Msg) -> None:
        try:
            advisory = msgspec.json.decode(message.data, type=_Advisory)
        except (msgspec.MsgspecError, ValueError):
            return
        self._announced.add((advisory.stream, advisory.stream_seq))

    async def look(self) -> list[Stuck]:
        """Return what a sweep would repair, and change nothing. Use a separate janitor for it.

        Raises:
            UnavailableError: The server stopped answering.
        """
        self._looking, self._stuck = True, []
        try:
            await self._look_at_all()
        finally:
            self._looking = False
        return self._stuck

    async def sweep(self) -> Counter[str]:
        """Check all queues and tasks once, and return the number of repairs by kind.

        Raises:
            UnavailableError: The server stopped answering. Repairs so far stay.
        """
        self._repaired = Counter()
        await self._look_at_all()
        SWEEPS.inc()
        for kind, count in self._repaired.items():
            REPAIRED.labels(kind).inc(count)
        if self._repaired:
            self._logger.warning("repaired: %s", ", ".join(f"{n} {kind}" for kind, n in self._repaired.items()))
        return self._repaired

    async def _look_at_all(self) -> None:
        infos = {info.queue.name: info for info in await self._client.queues()}
        busy = {task.id for worker in await self._client.workers() for task in worker.running}
        for info in infos.values():
            async with aclosing(self._old_items(info)) as items:
                async for sequence, task_id in items:
                    await self._look_at_item(info, sequence, task_id, busy)
        await self._look_at_tasks(infos, busy)

    # ---- items

    async def _old_items(self, info: QueueInfo) -> AsyncGenerator[tuple[int, str]]:
        """Yield the sequence and the task id of the oldest items of a queue."""
        sequence = 0
        for _ in range(MOST_ITEMS):
            item = await self._storage.items.next(info.queue.name, sequence)
            if item is None:
                return
            sequence = item[0]
            yield item

    async def _look_at_item(self, info: QueueInfo, sequence: int, task_id: str, busy: set[str]) -> None:
        try:
            stored = await self._storage.tasks.load(task_id)
        except TaskNotFoundError:
            # An item is put after its task is saved, so this task was deleted since, and no worker would run it.
            if self._looking:
                self._note(ITEM_WITHOUT_TASK, task_id, info.queue.name, None)
            else:
                await self._remove(info, sequence)
                self._repaired[ITEM_WITHOUT_TASK] += 1
            return
        except (AjobsError, ValueError) as e:
            self._logger.warning("item %s of queue %s is ignored: %s", task_id, info.queue.name, e)
            return
        if task_id in busy or not self._is_spent(info, sequence, stored):
            return
        # The item is known to be spent, so there is no reason to wait for a change.
        ended = examine(
            stored.task, ItemState.SPENT, info.queue, now_ns=time.time_ns(), changed_ns=0, grace_ns=self._grace_ns
        )
        if self._looking:
            if ended is not None or stored.task.state in FINAL_STATES:
                self._note(ITEM_SPENT, task_id, info.queue.name, ended)
            return
        if ended is not None and not await self._save(ended, stored, ITEM_SPENT):
            return
        if ended is not None or stored.task.state in FINAL_STATES:
            await self._remove(info, sequence)
            self._announced.discard((queue_stream(info.queue.name), sequence))

    def _is_spent(self, info: QueueInfo, sequence: int, stored: Stored) -> bool:
        """Return whether the server will not deliver an item again. The module docstring has the signs."""
        if info.queue.max_tries <= 0 or sequence > info.delivered:
            return False
        if (queue_stream(info.queue.name), sequence) in self._announced or info.in_progress == 0:
            return True
        started_ns = tried_ns(stored.task)
        if stored.task.state is not TaskState.ACTIVE or started_ns is None or not info.pulls:
            return False
        return time.time_ns() > started_ns + 2 * as_ns(info.queue.max_run_time) + self._grace_ns

    async def _remove(self, info: QueueInfo, sequence: int) -> None:
        try:
            await self._storage.items.remove(info.queue.name, sequence)
        except StorageError as e:
            self._logger.info("item %d of queue %s was already removed: %s", sequence, info.queue.name, e)

    # ---- tasks

    async def _look_at_tasks(self, infos: dict[str, QueueInfo], busy: set[str]) -> None:
        before_ns = time.time_ns() - self._grace_ns
        batch: list[tuple[Stored, int]] = []
        async with aclosing(self._storage.messages()) as messages:
            async for message in messages:
                if message.timestamp_ns > before_ns:
                    break  # messages are in the order of their changes
                stored = _unfinished(message)
                if stored is None or stored.task.id in busy:
                    continue
                batch.append((stored, message.timestamp_ns))
                if len(batch) == AT_ONCE:
                    await asyncio.gather(*(self._look_at_task(*each, infos) for each in batch))
                    batch.clear()
        await asyncio.gather(*(self._look_at_task(*each, infos) for each in batch))

    async def _look_at_task(self, stored: Stored, changed_ns: int, infos: dict[str, QueueInfo]) -> None:
        task = stored.task
        info = infos.get(task.queue)
        if info is not None and await self._storage.items.exists(task.queue, task.id):
            return
        queue = None if info is None else info.queue
        ended = examine(
            task, ItemState.MISSING, queue, now_ns=time.time_ns(), changed_ns=changed_ns, grace_ns=self._grace_ns
        )
        if ended is None:
            return
        kind = TASK_WITHOUT_QUEUE if queue is None else TASK_WITHOUT_ITEM
        if self._looking:
            self._note(kind, task.id, task.queue, ended)
        else:
            await self._save(ended, stored, kind)

    def _note(self, kind: str, task_id: str, queue: str, ended: Task | None) -> None:
        self._stuck.append(Stuck(kind=kind, task_id=task_id, queue=queue, ended=ended))

    async def _save(self, ended: Task, stored: Stored, kind: str) -> bool:
        try:
            await self._storage.tasks.save(ended, stored.revision)
        except TaskChangedError:
            return False  # it changed after all
        self._repaired[kind] += 1
        fields = {"task_id": ended.id, "outcome": ended.state.value, "error": ended.last_err}
        self._logger.warning("task ended by repair", extra=fields)
        return True


def _unfinished(message: Delivery) -> Stored | None:
    try:
        task = decode_task(message.data)
    except CorruptTaskError:
        return None  # a task that cannot be decoded cannot be saved
    return None if task.state in FINAL_STATES else Stored(task, message.sequence)
