"""Work items: put into a queue, and acknowledged by the worker that received them."""

from __future__ import annotations

from collections.abc import Mapping

from ajobs.client.nats.requests import NoRespondersError, Requests
from ajobs.client.observability import metrics
from ajobs.client.storage.jetstream.api import JetStream, Json
from ajobs.client.storage.jetstream.delivery import Delivery
from ajobs.client.storage.jetstream.errors import MessageNotFoundError, StreamNotFoundError, error_of
from ajobs.client.storage.jetstream.publish import Message, Posted, Published, publish_patiently
from ajobs.protocol.codec import encode
from ajobs.protocol.errors import (
    AjobsError,
    DuplicateItemError,
    QueueFullError,
    QueueNotFoundError,
)
from ajobs.protocol.headers import MESSAGE_ID, header_block
from ajobs.protocol.item import WorkItem
from ajobs.protocol.subjects import item_subject, queue_stream


class PerhapsOwnItemError(DuplicateItemError):
    """The item that the server had may be that of an earlier attempt of the same call, which was not answered."""


_MESSAGE_ID = header_block({MESSAGE_ID: "%b"})


class WorkItems:
    """Puts work items into queues and acknowledges them."""

    def __init__(self, jetstream: JetStream) -> None:
        """Use ``jetstream``."""
        self._jetstream = jetstream
        self._requests: Requests = jetstream.requests

    def post(self, queue: str, task_id: str, headers: Mapping[str, str] | None = None) -> Posted:
        """Start to `put` the first item for a task, and do not wait."""
        return _message(queue, task_id, headers, again=False).post(self._requests)

    async def put(
        self,
        queue: str,
        task_id: str,
        *,
        again: bool,
        headers: Mapping[str, str] | None = None,
        posted: Posted | None = None,
    ) -> None:
        """Put a work item for a task into a queue. It replaces the item that the queue may have for the task.

        Args:
            queue: The queue's name.
            task_id: The task.
            again: Whether the task may have been in this queue recently. Otherwise the server refuses a
                second item for it.
            headers: Additional headers of the item's message.
            posted: The result of `post` for the same item.

        Raises:
            QueueNotFoundError: The queue does not exist.
            QueueFullError: The queue accepts no more items.
            PerhapsOwnItemError: The queue recently had an item for this task, perhaps from this call.
            DuplicateItemError: The queue recently had an item for this task, not from this call.
            RequestTimeoutError: No answer came within the patience; the item may be in the queue.
            StorageError: JetStream refused the item for another reason.
        """
        try:
            if posted is None:
                posted = _message(queue, task_id, headers, again=again).post(self._requests)
                if self._requests.is_full:
                    await self._requests.flush()
            # The fast path: nearly always the first attempt is confirmed.
            if await posted.accepted() is None:
                _check_put(await publish_patiently(self._jetstream, posted.message, posted), queue, task_id)
        except AjobsError as e:
            metrics.labelled(metrics.ENQUEUE_ERRORS, queue).inc()
            if isinstance(e, NoRespondersError):
                msg = f"queue {queue} does not exist: create it, or check the name"
                raise QueueNotFoundError(msg) from e
            raise
        self.note_put(queue)

    def note_put(self, queue: str) -> None:
        """Count an accepted item."""
        metrics.ENQUEUED.inc(queue)

    async def exists(self, queue: str, task_id: str) -> bool:
        """Return whether a queue holds an item for a task. A missing queue holds none."""
        return await self._find(queue, {"last_by_subj": item_subject(queue, task_id)}) is not None

    async def next(self, queue: str, after: int) -> tuple[int, str] | None:
        """Return the sequence and the task id of the oldest item after a sequence, or ``None``.

        It reads without a consumer, because a queue takes only the one of its workers.
        """
        prefix = item_subject(queue, "")
        message = await self._find(queue, {"seq": after + 1, "next_by_subj": f"{prefix}>"})
        return None if message is None else (message["seq"], message["subject"].removeprefix(prefix))

    async def _find(self, queue: str, which: Json) -> Json | None:
        try:
            return (await self._jetstream.ask(f"STREAM.MSG.GET.{queue_stream(queue)}", which))["message"]
        except (MessageNotFoundError, StreamNotFoundError):
            return None

    async def remove(self, queue: str, sequence: int) -> None:
        """Remove the item with a sequence.

        Raises:
            StorageError: The queue or the item does not exist.
        """
        await self._jetstream.call(f"STREAM.MSG.DELETE.{queue_stream(queue)}", {"seq": sequence})

    async def remove_of(self, queue: str, task_id: str) -> None:
        """Remove the item of a task, if there is one.

        Raises:
            StorageError: The queue does not exist.
        """
        await self._jetstream.call(f"STREAM.PURGE.{queue_stream(queue)}", {"filter": item_subject(queue, task_id)})

    async def ack(self, delivery: Delivery) -> None:
        """Acknowledge an item, which removes it. If the acknowledgement is lost, the item is redelivered."""
        # This is `Requests.publish` without its coroutine, because every task ends here.
        self._requests.send(delivery.ack_subject, b"+ACK")
        if self._requests.is_full:
            await self._requests.flush()

    async def terminate(self, delivery: Delivery) -> None:
        """Remove an item without acknowledging it."""
        await self._requests.publish(delivery.ack_subject, b"+TERM")

    async def nak(self, delivery: Delivery, delay_ns: int = 0) -> None:
        """Ask for redelivery of an item after ``delay_ns`` nanoseconds."""
        await self._requests.publish(delivery.ack_subject, b'-NAK {"delay": %d}' % delay_ns if delay_ns else b"-NAK")

    async def keep(self, delivery: Delivery) -> None:
        """Renew the item's lease, which is the queue's max run time, without waiting for an answer."""
        await self._requests.publish(delivery.ack_subject, b"+WPI")

    async def in_progress(self, delivery: Delivery) -> None:
        """Renew the item's lease, which is the queue's max run time.

        Raises:
            RequestTimeoutError: The server did not confirm the renewal.
        """
        await self._requests.request(delivery.ack_subject, b"+WPI")


def _message(queue: str, task_id: str, more: Mapping[str, str] | None, *, again: bool) -> Message:
    if again:
        headers = header_block(more)
    else:
        headers = header_block({**more, MESSAGE_ID: task_id}) if more else _MESSAGE_ID % task_id.encode()
    return Message(queue_stream(queue), item_subject(queue, task_id), encode(WorkItem(job=task_id)), headers)


def _check_put(published: Published, queue: str, task_id: str) -> None:
    ack, uncertain = published
    if ack.error is not None:
        error = error_of(ack.error, f"queue {queue}")
        if isinstance(error, QueueFullError):
            msg = f"queue {queue} is full: let workers catch up, or raise its max_entries"
            raise QueueFullError(msg) from error
        raise error
    if ack.duplicate:
        msg = f"queue {queue} recently had a work item for task {task_id}"
        raise PerhapsOwnItemError(msg) if uncertain else DuplicateItemError(msg)
