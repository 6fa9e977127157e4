"""The connection to NATS: opened from options, or handed in by the caller.

A first connect that fails raises an error. A connection that was open once is reconnected without limit. Callbacks
learn when it breaks and when it is back.

A connection can be deaf: open, but nothing arrives any more. `suspect` checks that with a round trip of our own, and
reconnects if the server does not answer it either.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import msgspec
import nats.errors
from nats.aio.client import Client as NatsClient
from nats.aio.client import Server
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from ajobs.client.nats.addresses import ConnectOptions, without_credentials
from ajobs.client.nats.credentials import credentials
from ajobs.client.nats.fast_path import FastPath, Receive
from ajobs.client.nats.permissions import PUBLISH, SUBSCRIBE, Denial, Denials, deaf, denied
from ajobs.protocol.durations import as_seconds
from ajobs.protocol.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    JetStreamNotEnabledError,
)

FIRST_DELAY_S = 0.05
LONGEST_DELAY_S = 2.0
STABLE_S = 1.0
"""Seconds after which a new connection counts as working."""
CLOSE_S = 2.0
"""Seconds that closing may spend on sending what is buffered."""

ROUND_TRIP_S = 1.0
"""Seconds after which an unanswered round trip is repeated, because a reconnect may have lost its answer."""
DEAF_S = 3.0
"""Seconds that a suspected connection may stay silent before it is replaced."""

Callback = Callable[[], None]


class Connection:
    """A connection to NATS, and the callbacks for when it breaks and comes back."""

    def __init__(self, client: NatsClient, api_prefix: str, logger: logging.Logger) -> None:
        """Use a NATS client. See `open` and `adopt`."""
        self.nats = client
        self.fast_path = FastPath.of(client)
        """Receives and sends the messages of our own."""
        self.api_prefix = api_prefix
        self._logger = logger
        self._on_disconnect: list[Callback] = []
        self._on_reconnect: list[Callback] = []
        self.denials = Denials()
        """What the server has refused to this user so far."""
        self._closed = asyncio.Event()
        self._closing = False
        self._connected_at = time.monotonic()
        self._short_lived = 0
        self._last_problem = ""
        self._check: asyncio.Task[None] | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, options: ConnectOptions, *, logger: logging.Logger | None = None) -> AsyncGenerator[Connection]:
        """Connect, and stay connected until the end of the block.

        Raises:
            AuthenticationError: The server refused the credentials.
            ConnectionFailedError: No server answered within the connect timeout.
            ConfigurationError: A file with certificates or credentials cannot be used.
        """
        logger = logger or logging.getLogger("ajobs.client")
        client = NatsClient()
        connection = cls(client, options.api_prefix, logger)
        try:
            await connection._connect(options)
            yield connection
        finally:
            await connection._close()

    async def _close(self) -> None:
        self._closing = True
        await self._end_check()
        if self.nats.is_connected:
            with suppress(nats.errors.Error, ConnectionFailedError, TimeoutError, OSError):
                async with asyncio.timeout(CLOSE_S):
                    await self.synchronize()
        # The library asserts that it has begun to connect.
        with suppress(nats.errors.Error, OSError, AssertionError):
            await self.nats.close()

    @classmethod
    @contextmanager
    def adopt(
        cls, client: NatsClient, options: ConnectOptions, *, logger: logging.Logger | None = None
    ) -> Generator[Connection]:
        """Use a connection that the caller opened, and leave it open.

        Its callbacks are called before ours, and restored at the end of the block.

        Raises:
            ConnectionFailedError: The connection is not open.
        """
        if not client.is_connected:
            msg = "the NATS connection that was handed in is not connected: connect it first"
            raise ConnectionFailedError(msg)
        connection = cls(client, options.api_prefix, logger or logging.getLogger("ajobs.client"))
        # The library has no way to add callbacks later, so these are its own attributes.
        ours: dict[str, Callable[..., Awaitable[None]]] = {
            "_error_cb": connection._note,
            "_disconnected_cb": connection._disconnected,
            "_reconnected_cb": connection._reconnected,
            "_closed_cb": connection._was_closed,
        }
        theirs = {name: getattr(client, name) for name in ours}
        for name, callback in ours.items():
            setattr(client, name, _both(theirs[name], callback))
        try:
            yield connection
        finally:
            if connection._check is not None:
                connection._check.cancel()
            for name, callback in theirs.items():
                setattr(client, name, callback)

    async def _connect(self, options: ConnectOptions) -> None:
        problems: list[Exception] = []
        refused = asyncio.Event()

        async def note(error: Exception) -> None:
            if self._closed_or_connected():
                self._log_problem(_describe(error))
                await self._note(error)
                return
            problems.append(error)
            if is_authorization(error):
                refused.set()

        connect_timeout_s = as_seconds(options.connect_timeout)
        attempt = asyncio.create_task(
            self.nats.connect(
                servers=list(options.urls),
                error_cb=note,
                disconnected_cb=self._disconnected,
                reconnected_cb=self._reconnected,
                closed_cb=self._was_closed,
                reconnect_to_server_handler=self._choose_server,
                max_reconnect_attempts=-1,
                reconnect_time_wait=FIRST_DELAY_S,  # pyright: ignore[reportArgumentType] - seconds
                connect_timeout=connect_timeout_s,  # pyright: ignore[reportArgumentType] - seconds
                ping_interval=as_seconds(options.ping_interval),  # pyright: ignore[reportArgumentType] - seconds
                max_outstanding_pings=2,
                skip_subject_validation=True,
                name=options.name,
                **credentials(options),
            ),
            name="connect to NATS",
        )
        watch = asyncio.create_task(refused.wait())
        try:
            await asyncio.wait({attempt, watch}, timeout=connect_timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            watch.cancel()
            while not attempt.done():
                # A cancellation can be lost in a wait that ends at the same time.
                attempt.cancel()
                await asyncio.wait({attempt}, timeout=FIRST_DELAY_S)
            await asyncio.gather(attempt, watch, return_exceptions=True)
        if self.nats.is_connected:
            return
        error = None if attempt.cancelled() else attempt.exception()
        raise _connect_error(options, error or (problems[-1] if problems else None))

    async def _note(self, error: Exception) -> None:
        denial = Denial.read(error)
        if denial is not None:
            self.denials.add(denial)

    def _closed_or_connected(self) -> bool:
        return self.nats.is_connected or self.nats.is_reconnecting or self.nats.is_closed

    async def require_jetstream(self) -> int:
        """Check that JetStream is enabled, and return the level of its API (0 for servers before 2.11).

        Raises:
            JetStreamNotEnabledError: JetStream is not enabled on the server or for this account.
            PermissionDeniedError: This user may not send the request or not receive the answer.
            ConnectionFailedError: The connection is closed, or JetStream did not answer.
        """
        what_to_do = "start nats-server with -js, enable JetStream for this account, or check the domain or prefix"
        subject = f"{self.api_prefix}.INFO"
        received: list[Denial] = []
        forget = self.denials.on_denied(received.append)
        try:
            answer = await self.nats.request(subject, b"", timeout=CLOSE_S)
        except nats.errors.NoRespondersError as e:
            msg = f"no JetStream answers on {self.api_prefix}: {what_to_do}"
            raise JetStreamNotEnabledError(msg) from e
        except (nats.errors.TimeoutError, nats.errors.ConnectionClosedError) as e:
            if any(denial.action == SUBSCRIBE for denial in received):
                raise deaf(self.nats.new_inbox().rpartition(".")[0] + ".>") from e
            if any(denial.concerns(PUBLISH, subject) for denial in received):
                raise denied(PUBLISH, subject) from e
            msg = f"JetStream did not answer on {self.api_prefix}: check the connection and the account's permissions"
            raise ConnectionFailedError(msg) from e
        finally:
            forget()
        info: dict[str, Any] = msgspec.json.decode(answer.data)
        error = info.get("error")
        if error is not None:
            msg = f"JetStream cannot be used: {error.get('description')}; {what_to_do}"
            raise JetStreamNotEnabledError(msg)
        return info.get("api", {}).get("level", 0)

    @property
    def is_connected(self) -> bool:
        """Whether the connection is open at present."""
        return self.nats.is_connected

    async def subscribe(self, subject: str, receive: Callable[[Msg], Awaitable[None]]) -> Subscription:
        """Subscribe ``receive`` to the messages on a subject. It handles one after the other."""
        return await self.nats.subscribe(subject, cb=receive)  # pyright: ignore[reportUnknownMemberType] - a bare Future

    async def subscribe_directly(self, subject: str, receive: Receive) -> Subscription:
        """Subscribe ``receive`` to the messages on a subject. It gets each as bytes, as soon as it is read."""
        subscription = await self.nats.subscribe(subject, cb=_never)  # pyright: ignore[reportUnknownMemberType]
        self.fast_path.register(subscription._id, receive)  # noqa: SLF001 - the number in each of its messages
        return subscription

    async def synchronize(self) -> None:
        """Wait until the server has read everything sent so far, through reconnects if necessary.

        Raises:
            ConnectionFailedError: The connection is closed for good.
        """
        while True:
            # A ping overtakes what waits to be written. That is written by the time of its pong, so a second ping is
            # behind it.
            if await self._round_trip(ROUND_TRIP_S) and await self._round_trip(ROUND_TRIP_S):
                return
            if self.nats.is_closed:
                raise ConnectionFailedError("the connection to NATS is closed: connect again")
            await asyncio.sleep(FIRST_DELAY_S)

    async def _round_trip(self, timeout_s: float) -> bool:
        """Return whether the server answers a ping in time."""
        try:
            pong = await self.fast_path.ping()
        except (nats.errors.Error, OSError):
            return False
        # Unlike wait_for, this leaves the pong alone: the library would fail on a cancelled one.
        done, _ = await asyncio.wait({pong}, timeout=timeout_s)
        return bool(done)

    def suspect(self) -> None:
        """Check a connection on which an expected answer is missing, and replace it if nothing at all arrives.

        The check ends by itself, and only one runs at a time.
        """
        if self._closing or not self.nats.is_connected or (self._check is not None and not self._check.done()):
            return
        self._check = asyncio.create_task(self._replace_if_deaf(), name="check the connection to NATS")

    async def _replace_if_deaf(self) -> None:
        reads = self.fast_path.reads
        if await self._round_trip(DEAF_S) or self.fast_path.reads != reads or not self.nats.is_connected:
            return
        self._logger.warning("nothing arrives from NATS for %g s, connecting again", DEAF_S)
        await self.fast_path.reconnect()

    async def _end_check(self) -> None:
        if self._check is not None:
            self._check.cancel()
            await asyncio.gather(self._check, return_exceptions=True)

    async def drain(self, subscription: Subscription) -> None:
        """End a subscription after receiving everything that the server has sent for it, if the server answers."""
        with suppress(nats.errors.Error, ConnectionFailedError, TimeoutError, OSError):
            async with asyncio.timeout(CLOSE_S):
                # The library's own drain takes the pong of a ping that overtook its request for the end of the
                # messages, and would drop what the server sent in between.
                await self.nats._send_unsubscribe(subscription._id)  # noqa: SLF001 - as its drain does
                await self.synchronize()
        await self.unsubscribe(subscription)

    async def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription, unless it ended with its connection."""
        with suppress(nats.errors.ConnectionDrainingError, nats.errors.BadSubscriptionError):
            if not self.nats.is_closed:
                await subscription.unsubscribe()
        self.fast_path.forget(subscription._id)  # noqa: SLF001 - the number in each of its messages

    def on_disconnect(self, callback: Callback) -> Callback:
        """Call ``callback`` when the connection breaks, until the returned function is called."""
        return _register(self._on_disconnect, callback)

    def on_reconnect(self, callback: Callback) -> Callback:
        """Call ``callback`` when the connection is back, until the returned function is called."""
        return _register(self._on_reconnect, callback)

    async def wait_closed(self) -> None:
        """Wait until the connection is closed for good."""
        await self._closed.wait()

    async def _disconnected(self) -> None:
        if not self._closing:
            self._logger.warning("disconnected from NATS, connecting again")
        self._call(self._on_disconnect)

    def _choose_server(self, servers: list[Server], _info: dict[str, Any]) -> tuple[Server, float]:
        """Return the server with the fewest failures, and the seconds to wait first, which grow and have jitter.

        A server that accepts a connection and drops it at once counts as failed.
        """
        if self._closing:
            # This ends the library's loop if its cancellation was lost.
            raise asyncio.CancelledError
        lasted_s = time.monotonic() - self._connected_at
        self._short_lived = self._short_lived + 1 if lasted_s < STABLE_S else 0
        server = min(servers, key=lambda candidate: candidate.reconnects)
        failures = min(max(server.reconnects, self._short_lived), 10)
        delay_s = min(FIRST_DELAY_S * 2**failures, LONGEST_DELAY_S)
        return server, delay_s * random.uniform(0.5, 1.5)  # noqa: S311 - jitter, not a secret

    def _log_problem(self, text: str) -> None:
        # Each attempt to connect repeats the same problem. Warn once.
        level = logging.DEBUG if text == self._last_problem else logging.WARNING
        self._last_problem = text
        self._logger.log(level, "NATS: %s", text)

    async def _reconnected(self) -> None:
        self._connected_at = time.monotonic()
        url = self.nats.connected_url
        self._logger.info("reconnected to NATS at %s", "" if url is None else without_credentials(url.geturl()))
        self._call(self._on_reconnect)

    async def _was_closed(self) -> None:
        if not self._closing:
            self._logger.error("the connection to NATS was closed for good: %s", self.nats.last_error)
        self._closed.set()

    def _call(self, callbacks: list[Callback]) -> None:
        for callback in list(callbacks):
            try:
                callback()
            except Exception:
                self._logger.exception("a callback of the connection failed")


async def _never(_: Msg) -> None:
    """Receive nothing: the fast path takes the messages."""


def _register(callbacks: list[Callback], callback: Callback) -> Callback:
    callbacks.append(callback)

    def forget() -> None:
        with suppress(ValueError):
            callbacks.remove(callback)

    return forget


def _both(
    theirs: Callable[..., Awaitable[None]] | None, ours: Callable[..., Awaitable[None]]
) -> Callable[..., Awaitable[None]]:
    async def call(*arguments: Any) -> None:
        if theirs is not None:
            await theirs(*arguments)
        await ours(*arguments)

    return call


def is_authorization(error: BaseException) -> bool:
    """Return whether the server refused the credentials.

    While connecting, the library has only the text of the server's protocol error.
    """
    return isinstance(error, nats.errors.AuthorizationError) or "authorization violation" in str(error).lower()


def _connect_error(options: ConnectOptions, cause: BaseException | None) -> Exception:
    servers = ", ".join(map(without_credentials, options.urls))
    if cause is not None and is_authorization(cause):
        return AuthenticationError(f"{servers} refused the credentials: check user, password, token, NKey or JWT")
    if isinstance(cause, (nats.errors.Error, OSError, TimeoutError)) or cause is None:
        reason = "no answer" if cause is None else _describe(cause)
        return ConnectionFailedError(f"cannot connect to NATS at {servers}: {reason}; {_hint(cause)}")
    return ConfigurationError(f"cannot connect to NATS at {servers}: {_describe(cause)}")


def _hint(cause: BaseException | None) -> str:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return "set tls_ca to the authority that signed its certificate, or tls_hostname to a name in it"
    if isinstance(cause, ssl.SSLError):
        return "check the TLS certificate and key, and whether this server expects TLS"
    return "is nats-server running there?"


def _describe(error: BaseException) -> str:
    return str(error) or type(error).__name__
