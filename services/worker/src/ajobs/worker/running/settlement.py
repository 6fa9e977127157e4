"""Save the task, then settle its item: the last step of every item that a worker takes.

The order makes a crash harmless. An item is acknowledged only after its task is saved, so a worker that dies in between
leaves an item that is delivered again, and a task that says how far it got.
"""

from __future__ import annotations

import logging
import random

from ajobs.client.client import Client
from ajobs.client.storage.items import Delivery
from ajobs.client.storage.tasks import Stored
from ajobs.protocol.codec import encode
from ajobs.protocol.decisions import Conclusion, Disposal
from ajobs.protocol.errors import CorruptTaskError, TaskChangedError, TaskNotFoundError
from ajobs.protocol.headers import SERVER_PREFIX
from ajobs.protocol.queue import Queue
from ajobs.protocol.states import TaskState
from ajobs.protocol.task import Task


class Settlement:
    """Saves the tasks of one queue and disposes of their items."""

    def __init__(
        self, client: Client, queue: Queue, *, discarded: frozenset[TaskState], logger: logging.Logger
    ) -> None:
        """Settle items of ``queue``; delete tasks that reach a state in ``discarded``."""
        self._tasks = client.storage.tasks
        self._items = client.storage.items
        self._events = client.storage.events
        self._queue = queue
        self._discarded = discarded
        self._logger = logger

    async def finish(
        self, stored: Stored, conclusion: Conclusion, delivery: Delivery, *, repeated: bool = False
    ) -> bool:
        """Save or discard the task, then dispose of its item. Return whether the task was still ours.

        If it is ``repeated``, an earlier attempt without an answer may have saved the task already.
        """
        task = conclusion.task
        try:
            if conclusion.discard or task.state in self._discarded:
                self._events.announce(task)
                await self._tasks.delete(task.id, stored.revision)
            else:
                await self._tasks.save(task, stored.revision)
        except TaskChangedError as e:
            if repeated and await self._is_saved(task):
                await self.dispose(conclusion.disposal, conclusion.delay_ns, task, delivery)
                return True
            self._logger.warning(
                "discarded the outcome of task %s: another worker or an operator changed it meanwhile (%s)", task.id, e
            )
            return False
        await self.dispose(conclusion.disposal, conclusion.delay_ns, task, delivery)
        return True

    async def _is_saved(self, task: Task) -> bool:
        try:
            return encode((await self._tasks.load(task.id)).task) == encode(task)
        except (TaskNotFoundError, CorruptTaskError):
            return False

    async def dispose(self, disposal: Disposal, delay_ns: int, task: Task, delivery: Delivery) -> None:
        """Acknowledge an item, remove it, return it to its queue after a delay, or replace it."""
        match disposal:
            case Disposal.ACK:
                await self._items.ack(delivery)
            case Disposal.TERM:
                await self._items.terminate(delivery)
            case Disposal.NAK:
                await self._items.nak(delivery, delay_ns)
            case Disposal.REPLACE:
                await self.replace(task.id, delivery)

    async def replace(self, task_id: str, delivery: Delivery) -> None:
        """Put a new item in place of one that the server will not deliver again."""
        # Keep the producer's headers: they carry the trace context to the handler.
        await self._items.put(self._queue.name, task_id, again=True, headers=_carried(delivery))


def _carried(delivery: Delivery) -> dict[str, str]:
    return {name: value for name, value in delivery.headers.items() if not name.startswith(SERVER_PREFIX)}


def random_below(bound: int) -> int:
    """Return a random number from 0 to ``bound`` - 1, for the jitter of delays."""
    return int(random.random() * bound)  # noqa: S311 - jitter, not a secret
