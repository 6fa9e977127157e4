"""Continuous delivery from a pull consumer.

A pull request asks the server for a number of messages, which it sends as they come. This keeps as many messages asked
for as somebody waits for, plus some ahead (`PullSubscription`'s ``ahead``), and asks again once half of them came:
a consumer that never idles with a request for every few dozen messages instead of one for each.

What the server says besides messages, by the status of an empty one::

    100         alive: nothing to deliver right now
    408         the request ran out; the header says how many messages it still allowed
    others      the consumer or its stream is gone or has no leader, the server shuts down, or it has too many requests

After any of the others, after a reconnect (requests die with their connection), and when even heartbeats stay away,
all requests are forgotten and made anew, more slowly each time that it does not help. A request that did survive adds
its messages to what was asked for: more than wanted, never less.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Self

from asyncjobs.client.storage.items import Delivery
from asyncjobs.protocol.durations import SECOND_NS
from asyncjobs.protocol.errors import ConnectionFailedError
from asyncjobs.protocol.headers import PENDING_MESSAGES, STATUS

if TYPE_CHECKING:
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

    from asyncjobs.client.connect import Connection
    from asyncjobs.client.requests import Requests

EXPIRES_S = 30
HEARTBEAT_S = 5
MISSED_HEARTBEATS = 2
FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 5.0

_ALIVE = "100"
_RAN_OUT = "408"

logger = logging.getLogger(__name__)


Callback = Callable[[], None]


def _ignore() -> None:
    """Tell nobody."""


class PullSubscription:
    """Messages of one consumer, handed to whoever waits longest."""

    def __init__(
        self,
        connection: Connection,
        requests: Requests,
        subject: str,
        ahead: Callable[[], int],
        on_pull: Callback,
        on_failure: Callback,
    ) -> None:
        """Pull with requests to ``subject``. See `open`."""
        self._on_pull = on_pull
        self._on_failure = on_failure
        self._requests = requests
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._subject = subject
        self._ahead = ahead
        self._inbox = connection.nats.new_inbox()
        self._generation = 0
        self._credit = 0
        self._buffer: deque[Delivery] = deque()
        self._waiting: deque[asyncio.Future[Delivery]] = deque()
        self._wake = asyncio.Event()
        self._refused = False
        self._backoff_s = FIRST_BACKOFF_S
        self._last_seen = self._loop.time()
        self._stopped = False
        self._subscription: Subscription | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        connection: Connection,
        requests: Requests,
        *,
        subject: str,
        ahead: Callable[[], int],
        on_pull: Callback = _ignore,
        on_failure: Callback = _ignore,
    ) -> AsyncGenerator[Self]:
        """Receive messages for as long as the block runs.

        Args:
            connection: The connection to receive on.
            requests: Sends the pull requests.
            subject: The API subject that asks for the next messages of the consumer.
            ahead: Tells how many messages to have here beyond those that somebody waits for.
            on_pull: Is told of each request.
            on_failure: Is told when requests have to be made anew because the server refused them or fell silent.
        """
        self = cls(connection, requests, subject, ahead, on_pull, on_failure)
        self._subscription = await connection.subscribe(f"{self._inbox}.*", self._receive)
        forget = connection.on_reconnect(self._wake.set)
        supervisor = asyncio.create_task(self._supervise(), name=f"supervise pulls of {subject}")
        try:
            yield self
        finally:
            forget()
            self._stopped = True
            supervisor.cancel()
            await asyncio.gather(supervisor, return_exceptions=True)
            await self._unsubscribe()

    async def next(self) -> Delivery:
        """Wait for the next message."""
        if self._buffer:
            delivery = self._buffer.popleft()
            await self._top_up()
            return delivery
        future: asyncio.Future[Delivery] = self._loop.create_future()
        self._waiting.append(future)
        await self._top_up()
        try:
            return await future
        except asyncio.CancelledError:
            if future.cancelled():
                with suppress(ValueError):
                    self._waiting.remove(future)
            else:
                # It was delivered in the same moment: somebody else, or `unclaimed`, shall have it.
                self._buffer.appendleft(future.result())
            raise

    async def stop(self) -> None:
        """Ask for no more messages, and withdraw what was asked for: those that are here by then are all that come.

        Otherwise an item that is given back would be delivered to this very subscription again.
        """
        self._stopped = True
        if self._subscription is not None and self._connection.is_connected:
            subscription, self._subscription = self._subscription, None
            await self._connection.drain(subscription)

    async def _unsubscribe(self) -> None:
        if self._subscription is not None:
            await self._connection.unsubscribe(self._subscription)

    def unclaimed(self) -> list[Delivery]:
        """Take the messages that arrived and that nobody waited for."""
        taken = list(self._buffer)
        self._buffer.clear()
        return taken

    async def _receive(self, message: Msg) -> None:
        self._last_seen = self._loop.time()
        found = message.headers
        if found is not None and not message.reply and STATUS in found:
            self._receive_status(message.subject, found)
        else:
            self._credit = max(0, self._credit - 1)
            self._backoff_s = FIRST_BACKOFF_S
            self._hand_out(Delivery(message.subject, message.data, found, message.reply, self._last_seen))
        await self._top_up()

    def _hand_out(self, delivery: Delivery) -> None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(delivery)
                return
        self._buffer.append(delivery)

    def _receive_status(self, subject: str, found: dict[str, str]) -> None:
        status = found[STATUS]
        if status == _ALIVE or not subject.endswith(f".{self._generation}"):
            return
        if status == _RAN_OUT:
            self._credit = max(0, self._credit - int(found.get(PENDING_MESSAGES, self._credit)))
            return
        logger.debug("pull refused: %s %s", status, found.get("Description", ""))
        self._refuse()

    async def _top_up(self) -> None:
        """Ask for more once half of what may arrive has."""
        wanted = len(self._waiting) + self._ahead() - len(self._buffer)
        if self._stopped or self._refused or wanted <= 0 or 2 * self._credit > wanted:
            return
        batch = wanted - self._credit
        self._credit = wanted
        self._on_pull()
        body = b'{"batch":%d,"expires":%d,"idle_heartbeat":%d}' % (
            batch,
            EXPIRES_S * SECOND_NS,
            HEARTBEAT_S * SECOND_NS,
        )
        try:
            await self._requests.publish(self._subject, body, None, f"{self._inbox}.{self._generation}")
        except ConnectionFailedError:
            self._refuse()

    def _refuse(self) -> None:
        self._refused = True
        self._wake.set()

    async def _restart(self) -> None:
        """Forget all requests and make new ones."""
        self._generation += 1
        self._credit = 0
        self._refused = False
        self._last_seen = self._loop.time()
        await self._top_up()

    async def _supervise(self) -> None:
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._wake.wait()
            except TimeoutError:
                silent_s = self._loop.time() - self._last_seen
                if self._credit and self._connection.is_connected and silent_s > MISSED_HEARTBEATS * HEARTBEAT_S:
                    self._note_failure("no heartbeat for %.0f s", silent_s)
                    await self._restart()
                continue
            self._wake.clear()
            if self._refused:
                self._note_failure("the server refused a request for messages, next one in %.1f s", self._backoff_s)
                await asyncio.sleep(self._backoff_s)
                self._backoff_s = min(2 * self._backoff_s, LONGEST_BACKOFF_S)
            await self._restart()

    def _note_failure(self, text: str, *values: object) -> None:
        self._on_failure()
        logger.warning(f"pulling from %s: {text}", self._subject, *values)
