"""JetStream's management API as raw JSON: what an older or newer server adds to a configuration is kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from ajobs.client.nats.requests import NoRespondersError, NotConnectedError, Requests
from ajobs.protocol.errors import (
    JetStreamNotEnabledError,
    QueueFullError,
    RequestTimeoutError,
    StorageError,
    StorageNotReadyError,
    UnavailableError,
)
from ajobs.protocol.subjects import TASKS_STREAM

STREAM_NOT_FOUND = 10059
CONSUMER_NOT_FOUND = 10014
MESSAGE_NOT_FOUND = 10037
STREAM_NAME_IN_USE = 10058
CONSUMER_NAME_IN_USE = 10013
CONSUMER_EXISTS = 10148
WRONG_LAST_SEQUENCE = frozenset({10071, 10164})
STREAM_FULL = 10077
STREAM_TOO_BUSY = 10167
NOT_ENABLED = frozenset({10039, 10076})

PAUSE_S = 0.1
"""Seconds between two attempts."""

T = TypeVar("T")
Json = dict[str, Any]


class ApiError(msgspec.Struct, gc=False):
    """An error as JetStream answers it."""

    code: int = 0
    err_code: int = 0
    description: str = ""


class PublishAck(msgspec.Struct, gc=False):
    """The answer to a publish into a stream."""

    seq: int = 0
    duplicate: bool = False
    error: ApiError | None = None


class _Answer(msgspec.Struct, gc=False):
    error: ApiError | None = None


decode_ack = msgspec.json.Decoder(PublishAck).decode
_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_json = msgspec.json.Decoder(Json).decode


class JetStream:
    """Calls the API under a prefix, and publishes into streams."""

    def __init__(self, requests: Requests, prefix: str, *, patience_s: float) -> None:
        """Use ``requests`` to call subjects below ``prefix``, normally ``$JS.API``.

        What only asks is asked again for ``patience_s`` seconds while the server cannot be reached.
        """
        self.requests = requests
        self.patience_s = patience_s
        self._prefix = prefix

    def subject(self, call: str) -> str:
        """Return the subject of an API call such as ``STREAM.INFO.NAME``."""
        return f"{self._prefix}.{call}"

    async def call(self, call: str, body: Json | None = None) -> Json:
        """Call the API and return the answer.

        Raises:
            StorageError: JetStream answered with an error; ``err_code`` says which.
            JetStreamNotEnabledError: Nobody answers there.
            RequestTimeoutError: It is not known whether it was done.
        """
        return _decode_json(await self._call(call, body))

    async def ask(self, call: str, body: Json | None = None) -> Json:
        """Call what changes nothing, patiently, and return the answer. Raises as `call` does."""
        return _decode_json(await self.ask_raw(call, body))

    async def ask_raw(self, call: str, body: Json | None = None) -> bytes:
        """Do the same and return the answer's bytes."""
        return await self.patiently(lambda: self._call(call, body))

    async def patiently(self, ask: Callable[[], Awaitable[T]], since: float | None = None) -> T:
        """Ask until there is an answer: again and again, so only for what changes nothing.

        Patience counts from ``since`` on, a monotonic time in seconds, for one who asked before; else from now on.

        Raises:
            RequestTimeoutError: Patience ran out.
            ConnectionFailedError: The connection is closed for good, or was not there for too long.
        """
        give_up = (time.monotonic() if since is None else since) + self.patience_s
        while True:
            try:
                return await ask()
            except (RequestTimeoutError, NotConnectedError):
                if time.monotonic() >= give_up:
                    raise
            await asyncio.sleep(PAUSE_S)

    async def _call(self, call: str, body: Json | None) -> bytes:
        data = b"" if body is None else msgspec.json.encode(body)
        try:
            reply = await self.requests.request(self.subject(call), data)
        except NoRespondersError as e:
            msg = f"no JetStream answers on {self._prefix}: start nats-server with -js, or check the domain or prefix"
            raise JetStreamNotEnabledError(msg) from e
        error = _decode_answer(reply.data).error
        if error is not None:
            raise storage_error(error, call)
        return reply.data


def storage_error(error: ApiError, what: str) -> UnavailableError:
    """Return the exception for an error that JetStream answered with, naming ``what`` was asked."""
    text = f"{what}: {error.description} ({error.err_code})"
    if error.err_code in NOT_ENABLED:
        return JetStreamNotEnabledError(f"{text}: enable JetStream on the server and for this account")
    if error.err_code == STREAM_FULL:
        return QueueFullError(text)
    return StorageError(text, err_code=error.err_code)


def no_task_store() -> StorageNotReadyError:
    """Return the exception for a task store that is not there."""
    return StorageNotReadyError(
        f"stream {TASKS_STREAM} does not exist: connect once without no_storage_init to make it"
    )
