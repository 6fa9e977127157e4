"""Enqueuing many tasks as a pipeline of batches.

The saves of a batch are sent without waiting for one another. While they are on their way, the items of the batch
before it are put, and those of the one before that are waited for: the server always has something to do, and no task
needs a coroutine that waits for it alone. What does not go well at once is tried again, or refused, as it is for a
single task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

from ajobs.client.storage.tasks import NEVER_STORED, Stored
from ajobs.protocol.errors import AjobsError, QueueNotFoundError
from ajobs.protocol.task import Task

if TYPE_CHECKING:
    from ajobs.client.storage.jetstream.publish import Posted
    from ajobs.client.tasks.enqueue import Enqueuer

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


class Bulk:
    """One call of `Client.enqueue_many`."""

    def __init__(self, enqueuer: Enqueuer, queue: str | None, *, require_queue: bool = False) -> None:
        """Enqueue into ``queue``, or into each task's own; store nothing for a missing queue if it is required."""
        self._enqueuer = enqueuer
        self._storage = enqueuer.storage
        self._queue = queue
        self._require_queue = require_queue
        self._checked: dict[str, AjobsError | None] = {}
        self._enqueued: dict[int, Task] = {}
        self._failed: dict[int, BulkFailure] = {}
        self._broken: Exception | None = None

    async def run(self, tasks: Iterable[Task], window: int) -> BulkResult:
        """Enqueue the tasks, up to ``window`` at a time. What the iterator raises is raised."""
        numbered, size = enumerate(tasks), max(1, window // STAGES)
        batch = self._take(numbered, size)
        saving: list[_Begun] = []
        putting: list[_Begun] = []
        while batch or saving or putting:
            begun = await self._begin_saves(batch)
            saved = await self._end_saves(saving)
            await self._end_puts(putting)
            saving, putting = begun, await self._begin_puts(saved)
            batch = self._take(numbered, size)
        if self._broken is not None:
            self._broken.add_note(f"{len(self._enqueued)} tasks from the iterator were enqueued before it raised this")
            raise self._broken
        return BulkResult(_in_order(self._enqueued), _in_order(self._failed))

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
                stored = await self._storage.tasks.save(each.task, NEVER_STORED, posted=each.posted)
            except AjobsError as e:
                self._failed[each.place] = BulkFailure(each.place, each.task, e)
            else:
                saved.append((each.place, stored))

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
        for place, (task, revision) in saved:
            begun.append(_Begun(place, task, self._enqueuer.post(task), revision))
            await self._make_room()
        return begun

    async def _end_puts(self, begun: list[_Begun]) -> None:
        async def end(each: _Begun) -> None:
            try:
                stored = Stored(each.task, each.revision)
                self._enqueued[each.place] = await self._enqueuer.put(stored, again=False, posted=each.posted)
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
        if self._storage.requests.is_full:
            await self._storage.requests.flush()


def _in_order(found: dict[int, T]) -> list[T]:
    return [found[index] for index in sorted(found)]
