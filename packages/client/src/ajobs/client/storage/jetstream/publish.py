"""Publish into a stream until the server confirms or refuses it, for as long as the patience lasts."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

import msgspec

from ajobs.client.nats.requests import NoRespondersError, NotConnectedError, Reply, Requests
from ajobs.client.storage.jetstream.api import PAUSE_S, JetStream, PublishAck, decode_ack
from ajobs.client.storage.jetstream.errors import StreamNotFoundError, StreamTooBusyError, error_of
from ajobs.protocol.errors import RequestTimeoutError, UnavailableError


class Message(msgspec.Struct, frozen=True, gc=False):
    """A message for a stream, with headers encoded by `header_block`.

    It may be stored more than once, so its headers or its meaning must make that harmless.
    """

    stream: str
    subject: str
    data: bytes
    headers: bytes = b""

    def post(self, requests: Requests) -> Posted:
        """Send the message without waiting, so that the caller can send more; `publish_patiently` does the rest."""
        began = time.monotonic()
        try:
            return Posted(self, requests.post(self.subject, self.data, self.headers), began)
        except UnavailableError:
            return Posted(self, None, began)


class Posted(msgspec.Struct, frozen=True):
    """A message and the future answer of its first attempt, or no answer if it could not be sent."""

    message: Message
    answer: asyncio.Future[Reply] | None
    began: float
    """When it was sent, as a monotonic time in seconds. The patience counts from there."""

    async def accepted(self) -> PublishAck | None:
        """Wait for the answer, and return it if this attempt stored the message, as nearly always."""
        try:
            ack = None if self.answer is None else decode_ack((await self.answer).data)
        except UnavailableError:
            return None
        return ack if ack is not None and ack.error is None and not ack.duplicate else None


class Published(NamedTuple):
    """The answer of the server, and whether an earlier, unanswered attempt may have stored the message."""

    ack: PublishAck
    uncertain: bool


async def publish_patiently(jetstream: JetStream, message: Message, posted: Posted | None = None) -> Published:
    """Publish until the server answers.

    Args:
        jetstream: The API of the server.
        message: The message.
        posted: The first attempt, if there was one.

    Returns:
        The answer, which holds an error if JetStream refused the message.

    Raises:
        RequestTimeoutError: No answer came within the patience; the message may be stored.
        NoRespondersError: The stream does not exist.
        PayloadTooLargeError: The message exceeds the server's limit.
        ConnectionFailedError: The connection is closed for good, or was down for longer than the patience.
    """
    requests = jetstream.requests
    give_up = (time.monotonic() if posted is None else posted.began) + jetstream.patience_s
    uncertain = False
    answer = None if posted is None else posted.answer
    while True:
        try:
            reply = await (answer or requests.request(message.subject, message.data, message.headers))
            ack = decode_ack(reply.data)
            if ack.error is None:
                return Published(ack, uncertain)
            error: UnavailableError = error_of(ack.error, message.stream)
            if not isinstance(error, StreamTooBusyError):
                return Published(ack, uncertain)
        except RequestTimeoutError as e:
            uncertain = True
            error = e
        except NotConnectedError as e:
            error = e
        except NoRespondersError as e:
            # A stream without a leader looks like a missing one.
            if not await stream_exists(jetstream, message.stream):
                raise
            error = e
        if time.monotonic() >= give_up:
            raise error
        answer = None
        await asyncio.sleep(PAUSE_S)


async def stream_exists(jetstream: JetStream, stream: str) -> bool:
    """Return whether a stream exists, or may exist because the server does not answer."""
    try:
        await jetstream.call(f"STREAM.INFO.{stream}")
    except StreamNotFoundError:
        return False
    except UnavailableError:
        return True
    return True
