"""Continuous delivery from a pull consumer.

A pull request asks the server for a number of messages, which it sends as they come. This keeps as many messages asked
for as are ``wanted``, and asks again once half of them came: a consumer that never idles, with a request for every few
dozen messages instead of one for each.

What the server says besides messages, by the status of an empty one::

    100         alive: nothing to deliver right now
    408         the request ran out; the header says how many messages it still allowed
    others      the consumer or its stream is gone or has no leader, the server shuts down, or it has too many requests

After any of the others, after a reconnect (requests die with their connection), and when even heartbeats stay away,
all requests are forgotten and sent again, with a growing delay while that fails. A request that did survive adds
its messages to what was asked for: more than wanted, never less.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Self

from ajobs.client.storage.jetstream.delivery import Delivery
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import ConnectionFailedError
from ajobs.protocol.headers import PENDING_MESSAGES, parse_headers, status_of

if TYPE_CHECKING:
    from nats.aio.subscription import Subscription

    from ajobs.client.nats.connection import Connection
    from ajobs.client.nats.requests import Requests

EXPIRES_S = 30
HEARTBEAT_S = 5
MISSED_HEARTBEATS = 2
FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 5.0
QUIET_S = 0.1
"""Seconds without a message after which a stop takes the open requests for idle."""

_ALIVE = "100"
_RAN_OUT = "408"

logger = logging.getLogger(__name__)


Callback = Callable[[], None]


def _ignore() -> None:
    """Do nothing."""


class PullSubscription:
    """Messages of one consumer, given to ``deliver`` as they come."""

    def __init__(  # noqa: PLR0913, PLR0917 - see `open`
        self,
        connection: Connection,
        requests: Requests,
        subject: str,
        wanted: Callable[[], int],
        deliver: Callable[[Delivery], None],
        on_pull: Callback,
        on_failure: Callback,
    ) -> None:
        """Pull with requests to ``subject``. See `open`."""
        self._connection = connection
        self._requests = requests
        self._subject = subject
        self._wanted = wanted
        self._deliver = deliver
        self._on_pull = on_pull
        self._on_failure = on_failure
        self._loop = asyncio.get_running_loop()
        self._inbox = connection.nats.new_inbox()
        self._generation = 0
        self._credit = 0
        self._wake = asyncio.Event()
        self._arrived = asyncio.Event()
        self._refused = False
        self._backoff_s = FIRST_BACKOFF_S
        self._last_seen = self._loop.time()
        self._stopped = False
        self._subscription: Subscription | None = None

    @classmethod
    @asynccontextmanager
    async def open(  # noqa: PLR0913 - two ends of a pipe, and who wants to know about it
        cls,
        connection: Connection,
        requests: Requests,
        *,
        subject: str,
        wanted: Callable[[], int],
        deliver: Callable[[Delivery], None],
        on_pull: Callback = _ignore,
        on_failure: Callback = _ignore,
    ) -> AsyncGenerator[Self]:
        """Receive messages for as long as the block runs, once `top_up` was called.

        Args:
            connection: The connection to receive on.
            requests: Sends the pull requests.
            subject: The API subject that asks for the next messages of the consumer.
            wanted: Tells how many messages may come. It is asked after each message, and by `top_up`.
            deliver: Gets each message.
            on_pull: Called for each request.
            on_failure: Called when requests are sent again because the server refused them or fell silent.
        """
        self = cls(connection, requests, subject, wanted, deliver, on_pull, on_failure)
        self._subscription = await connection.subscribe_directly(f"{self._inbox}.*", self._receive)
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

    @property
    def is_healthy(self) -> bool:
        """Whether the server takes requests, and was heard of lately if it owes messages or heartbeats."""
        return not self._refused and not (self._credit and self._silent_s > MISSED_HEARTBEATS * HEARTBEAT_S)

    @property
    def _silent_s(self) -> float:
        return self._loop.time() - self._last_seen

    async def stop(self) -> None:
        """Ask for no more messages, and withdraw what was asked for: those that are here by then are all that come.

        Otherwise an item that is given back would be delivered to this very subscription again.
        """
        self._stopped = True
        await self._use_up_credit()
        if self._subscription is not None and self._connection.is_connected:
            subscription, self._subscription = self._subscription, None
            await self._connection.drain(subscription)

    async def _use_up_credit(self) -> None:
        """Wait until the open requests have no messages left, or none are coming.

        The server does not take back a message that it has chosen for a request but not yet sent when the subscription
        ends. It would be lost and stay with this worker until its lease runs out.
        """
        while self._credit and self._connection.is_connected:
            self._arrived.clear()
            try:
                async with asyncio.timeout(QUIET_S):
                    await self._arrived.wait()
            except TimeoutError:
                return

    async def _unsubscribe(self) -> None:
        if self._subscription is not None:
            await self._connection.unsubscribe(self._subscription)

    def _receive(self, subject: bytes, reply_to: bytes, headers: bytes, data: bytes) -> None:
        self._last_seen = self._loop.time()
        status = "" if reply_to else status_of(headers)
        if status:
            self._receive_status(subject.decode(errors="replace"), status, headers)
        else:
            self._credit = max(0, self._credit - 1)
            self._backoff_s = FIRST_BACKOFF_S
            if self._stopped:
                self._arrived.set()
            # Any client can choose the end of the subject, and text that is not UTF-8 must not end the connection.
            self._deliver(Delivery(subject.decode(errors="replace"), data, headers, reply_to.decode(), self._last_seen))
        self.top_up()

    def _receive_status(self, subject: str, status: str, headers: bytes) -> None:
        if status == _ALIVE or not subject.endswith(f".{self._generation}"):
            return
        if status == _RAN_OUT:
            pending = parse_headers(headers).get(PENDING_MESSAGES, "")
            left = int(pending) if pending.isdecimal() and len(pending) <= len(str(self._credit)) else self._credit
            self._credit = max(0, self._credit - left)
            return
        logger.debug("pull refused: %s", headers)
        self._refuse()

    def top_up(self) -> None:
        """Ask for more once half of what is wanted is on its way."""
        wanted = self._wanted()
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
            self._requests.send(self._subject, body, reply_to=f"{self._inbox}.{self._generation}".encode())
        except ConnectionFailedError:
            self._refuse()

    def _refuse(self) -> None:
        self._refused = True
        self._wake.set()

    def _restart(self) -> None:
        """Forget all requests and make new ones."""
        self._generation += 1
        self._credit = 0
        self._refused = False
        self._last_seen = self._loop.time()
        self.top_up()

    async def _supervise(self) -> None:
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._wake.wait()
            except TimeoutError:
                if self._connection.is_connected and not self._refused and not self.is_healthy:
                    self._note_failure("no heartbeat for %.0f s", self._silent_s)
                    self._connection.suspect()
                    self._restart()
                continue
            self._wake.clear()
            if self._refused:
                self._note_failure("the server refused a request for messages, next one in %.1f s", self._backoff_s)
                await asyncio.sleep(self._backoff_s)
                self._backoff_s = min(2 * self._backoff_s, LONGEST_BACKOFF_S)
            self._restart()

    def _note_failure(self, text: str, *values: object) -> None:
        self._on_failure()
        logger.warning(f"pulling from %s: {text}", self._subject, *values)
