"""JetStream's management API as raw JSON, which keeps what an older or newer server adds to a configuration."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from ajobs.client.nats.requests import NoRespondersError, NotConnectedError, Requests
from ajobs.client.storage.jetstream.errors import ErrorAnswer, error_of
from ajobs.protocol.errors import (
    JetStreamNotEnabledError,
    RequestTimeoutError,
    StorageNotReadyError,
)
from ajobs.protocol.subjects import TASKS_STREAM

PAUSE_S = 0.1
"""Seconds between two attempts of a patient call."""

T = TypeVar("T")
Json = dict[str, Any]


class PublishAck(msgspec.Struct, gc=False):
    """The answer to a publish into a stream."""

    seq: int = 0
    duplicate: bool = False
    error: ErrorAnswer | None = None


class _Answer(msgspec.Struct, gc=False):
    error: ErrorAnswer | None = None


decode_ack = msgspec.json.Decoder(PublishAck).decode
_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_json = msgspec.json.Decoder(Json).decode


class JetStream:
    """Calls the API under a prefix."""

    def __init__(self, requests: Requests, prefix: str, *, patience_s: float) -> None:
        """Use ``requests`` to call subjects below ``prefix``, normally ``$JS.API``.

        Calls that change nothing are repeated for ``patience_s`` seconds while the server does not answer.
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
            JetStreamError: JetStream answered with an error; its class says which.
            JetStreamNotEnabledError: Nothing answers on that subject.
            RequestTimeoutError: No answer came; the call may have been executed.
        """
        return _decode_json(await self._call(call, body))

    async def ask(self, call: str, body: Json | None = None) -> Json:
        """Make a call that changes nothing, patiently, and return the answer. Raises as `call` does."""
        return _decode_json(await self.ask_raw(call, body))

    async def ask_raw(self, call: str, body: Json | None = None) -> bytes:
        """Do as `ask` does, and return the bytes of the answer."""
        return await self.patiently(lambda: self._call(call, body))

    async def patiently(self, ask: Callable[[], Awaitable[T]], since: float | None = None) -> T:
        """Repeat a call that changes nothing until it is answered.

        Args:
            ask: The call.
            since: When the first attempt was made, as a monotonic time in seconds. Default: now.

        Raises:
            RequestTimeoutError: No answer came within the patience.
            ConnectionFailedError: The connection is closed for good, or was down for longer than the patience.
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
            raise error_of(error, call)
        return reply.data


def no_task_store() -> StorageNotReadyError:
    """Return the error for a missing task store."""
    return StorageNotReadyError(
        f"stream {TASKS_STREAM} does not exist: connect a client that may create it, or reconnect"
    )
