"""Enqueuing many tasks as a pipeline of batches.

The saves of a batch are sent without waiting for one another. While they are on their way, the items of the batch
before it are put, and those of the one before that are waited for: the server always has something to do, and no task
needs a coroutine that waits for it alone. What does not go well at once is tried again, or refused, as it is for a
single task.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

from ajobs.client.storage.tasks import NEVER_STORED, Stored
from ajobs.protocol.errors import AjobsError, QueueNotFoundError, TaskAlreadyExistsError
from ajobs.protocol.task import Task

if TYPE_CHECKING:
    from ajobs.client.storage.jetstream.publish import Posted
    from ajobs.client.tasks.enqueue import Enqueuer

logger = logging.getLogger("ajobs.client")

ENQUEUE_WINDOW = 1_500
"""How many tasks are on their way at once by default: more does not make it faster."""
STAGES = 3
"""How many batches are on their way at once."""

T = TypeVar("T")


class BulkFailure(msgspec.Struct, frozen=True):
    """A task that could not be enqueued: its place in the input, the task and why."""

    index: int
    task: Task
    error: AjobsError


class BulkResult(msgspec.Struct, frozen=True):
    """What became of many tasks, each list in the order of the input."""

    enqueued: list[Task]
    failed: list[BulkFailure]


class _Begun(NamedTuple):
    """A message that was sent for a task, and the task's place in the input."""

    place: int
    task: Task
    posted: Posted
    revision: int = NEVER_STORED

    @property
    def stored(self) -> Stored | None:
        """The task with its revision, or ``None`` if this message is its save."""
        return None if self.revision == NEVER_STORED else Stored(self.task, self.revision)


class Bulk:
    """One call of `Client.enqueue_many`."""

    def __init__(
        self, enqueuer: Enqueuer, queue: str | None, *, require_queue: bool = False, ids_run_once: bool = False
    ) -> None:
        """Enqueue into ``queue``, or into each task's own.

        Args:
            enqueuer: Enqueues single tasks.
            queue: A queue instead of the tasks' own.
            require_queue: Whether to store nothing for a missing queue.
            ids_run_once: Whether an id stands for one run, so that an id that is or was in use is an error.
        """
        self._enqueuer = enqueuer
        self._storage = enqueuer.storage
        self._queue = queue
        self._require_queue = require_queue
        self._ids_run_once = ids_run_once
        self._on_their_way: deque[list[_Begun]] = deque(maxlen=STAGES + 1)
        """The latest batches, as saves and as puts. What a cancellation finds unconfirmed is among them."""
        self._checked: dict[str, AjobsError | None] = {}
        self._enqueued: dict[int, Task] = {}
        self._failed: dict[int, BulkFailure] = {}
        self._broken: Exception | None = None

    async def run(self, tasks: Iterable[Task], window: int) -> BulkResult:
        """Enqueue the tasks, up to ``window`` at a time. What the iterator raises is raised."""
        try:
            await self._run(enumerate(tasks), max(1, window // STAGES))
        except asyncio.CancelledError:
            self._enqueuer.unfinished.start(self._complete(), "enqueue many tasks")
            raise
        if self._broken is not None:
            self._broken.add_note(f"{len(self._enqueued)} tasks from the iterator were enqueued before it raised this")
            raise self._broken
        return BulkResult(_in_order(self._enqueued), _in_order(self._failed))

    async def _run(self, numbered: Iterator[tuple[int, Task]], size: int) -> None:
        batch = self._take(numbered, size)
        saving: list[_Begun] = []
        putting: list[_Begun] = []
        while batch or saving or putting:
            begun = await self._begin_saves(batch)
            saved = await self._end_saves(saving)
            await self._end_puts(putting)
            saving, putting = begun, await self._begin_puts(saved)
            batch = self._take(numbered, size)

    async def _complete(self) -> None:
        """Enqueue the tasks that were on their way when the call was cancelled."""
        latest = {each.place: each for batch in self._on_their_way for each in batch}
        unclear = [each for place, each in latest.items() if place not in self._enqueued and place not in self._failed]
        ends = (self._enqueuer.complete(each.task, each.stored) for each in unclear)
        for error in await asyncio.gather(*ends, return_exceptions=True):
            if isinstance(error, BaseException):
                logger.debug("not enqueued after a cancellation: %s", error)

    def _take(self, numbered: Iterator[tuple[int, Task]], size: int) -> list[tuple[int, Task]]:
        batch: list[tuple[int, Task]] = []
        try:
            while self._broken is None and len(batch) < size:
                batch.append(next(numbered))
        except StopIteration:
            pass
        except Exception as e:
            # What is on its way is finished first: a task without its item would never run.
            self._broken = e
        return batch

    async def _begin_saves(self, batch: list[tuple[int, Task]]) -> list[_Begun]:
        begun: list[_Begun] = []
        self._on_their_way.append(begun)
        for place, given in batch:
            try:
                task = self._enqueuer.prepare(given, self._queue)
                if self._require_queue:
                    await self._check_queue(task.queue)
            except AjobsError as e:
                self._failed[place] = BulkFailure(place, given, e)
                continue
            begun.append(_Begun(place, task, self._storage.tasks.post(task, NEVER_STORED)))
            await self._make_room()
        return begun

    async def _check_queue(self, name: str) -> None:
        """Raise if the queue does not exist, after asking the server once for each name."""
        if name not in self._checked:
            try:
                await self._storage.queues.join(name)
            except QueueNotFoundError as e:
                self._checked[name] = e
            else:
                self._checked[name] = None
        error = self._checked[name]
        if error is not None:
            raise error

    async def _end_saves(self, begun: list[_Begun]) -> list[tuple[int, Stored]]:
        saved: list[tuple[int, Stored]] = []

        async def end(each: _Begun) -> None:
            try:
                try:
                    saved.append(
                        (each.place, await self._storage.tasks.save(each.task, NEVER_STORED, posted=each.posted))
                    )
                except TaskAlreadyExistsError:
                    if self._ids_run_once:
                        raise
                    self._enqueued[each.place] = await self._enqueuer.repeat(each.task)
            except AjobsError as e:
                self._failed[each.place] = BulkFailure(each.place, each.task, e)

        unclear: list[_Begun] = []
        for each in begun:
            ack = await each.posted.accepted()
            if ack is None:
                unclear.append(each)
            else:
                self._storage.tasks.note_saved(each.task)
                saved.append((each.place, Stored(each.task, ack.seq)))
        await asyncio.gather(*map(end, unclear))
        return saved

    async def _begin_puts(self, saved: list[tuple[int, Stored]]) -> list[_Begun]:
        begun: list[_Begun] = []
        self._on_their_way.append(begun)
        for place, (task, revision) in saved:
            begun.append(_Begun(place, task, self._enqueuer.post(task), revision))
            await self._make_room()
        return begun

    async def _end_puts(self, begun: list[_Begun]) -> None:
        async def end(each: _Begun) -> None:
            try:
                self._enqueued[each.place] = await self._enqueuer.put(
                    Stored(each.task, each.revision),
                    again=False,
                    posted=each.posted,
                    ids_run_once=self._ids_run_once,
                )
            except AjobsError as e:
                self._failed[each.place] = BulkFailure(each.place, each.task, e)

        unclear: list[_Begun] = []
        for each in begun:
            if await each.posted.accepted() is None:
                unclear.append(each)
            else:
                self._storage.items.note_put(each.task.queue)
                self._enqueued[each.place] = each.task
        await asyncio.gather(*map(end, unclear))

    async def _make_room(self) -> None:
        await self._storage.make_room()


def _in_order(found: dict[int, T]) -> list[T]:
    return [found[index] for index in sorted(found)]
