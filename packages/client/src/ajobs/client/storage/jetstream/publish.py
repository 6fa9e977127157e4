"""Publishing into a stream until it is known what became of it, for as long as patience lasts."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

import msgspec

from ajobs.client.nats.requests import NoRespondersError, NotConnectedError, Reply, Requests
from ajobs.client.storage.jetstream.api import (
    PAUSE_S,
    STREAM_NOT_FOUND,
    STREAM_TOO_BUSY,
    JetStream,
    PublishAck,
    decode_ack,
    storage_error,
)
from ajobs.protocol.errors import RequestTimeoutError, StorageError, UnavailableError


class Message(msgspec.Struct, frozen=True, gc=False):
    """What is published into a stream: the stream, the subject, the bytes and the headers as `header_block` makes them.

    It may be stored more than once: its headers, or its meaning, have to make that harmless.
    """

    stream: str
    subject: str
    data: bytes
    headers: bytes = b""

    def post(self, requests: Requests) -> Posted:
        """Send it without waiting, for one who has more to send before; `publish_patiently` does the rest."""
        began = time.monotonic()
        try:
            return Posted(self, requests.post(self.subject, self.data, self.headers), began)
        except UnavailableError:
            return Posted(self, None, began)


class Posted(msgspec.Struct, frozen=True):
    """A message and the answer to come of its first attempt; none when it could not be sent."""

    message: Message
    answer: asyncio.Future[Reply] | None
    began: float
    """When it was sent, as a monotonic time in seconds: patience counts from then on."""

    async def accepted(self) -> PublishAck | None:
        """Wait for the answer and return it if it is that the message is stored now, as nearly always."""
        try:
            ack = None if self.answer is None else decode_ack((await self.answer).data)
        except UnavailableError:
            return None
        return ack if ack is not None and ack.error is None and not ack.duplicate else None


class Published(NamedTuple):
    """The server's answer, and whether an earlier attempt without an answer may have been stored already."""

    ack: PublishAck
    uncertain: bool


async def publish_patiently(jetstream: JetStream, message: Message, posted: Posted | None = None) -> Published:
    """Publish until the server answers.

    Args:
        jetstream: Where to.
        message: What to publish.
        posted: The first attempt, when it was made already.

    Returns:
        The answer, with the error in it when JetStream refused the message.

    Raises:
        RequestTimeoutError: Patience ran out; it is not known whether the message is stored.
        NoRespondersError: There is no such stream.
        PayloadTooLargeError: The message is larger than the server takes.
        ConnectionFailedError: The connection is closed for good, or was not there for too long.
    """
    requests = jetstream.requests
    give_up = (time.monotonic() if posted is None else posted.began) + jetstream.patience_s
    uncertain = False
    answer = None if posted is None else posted.answer
    while True:
        try:
            reply = await (answer or requests.request(message.subject, message.data, message.headers))
            ack = decode_ack(reply.data)
            if ack.error is None or ack.error.err_code != STREAM_TOO_BUSY:
                return Published(ack, uncertain)
            error: UnavailableError = storage_error(ack.error, message.stream)
        except RequestTimeoutError as e:
            uncertain = True
            error = e
        except NotConnectedError as e:
            error = e
        except NoRespondersError as e:
            # A stream that has no leader right now looks just like one that is not there.
            if not await stream_exists(jetstream, message.stream):
                raise
            error = e
        if time.monotonic() >= give_up:
            raise error
        answer = None
        await asyncio.sleep(PAUSE_S)


async def stream_exists(jetstream: JetStream, stream: str) -> bool:
    """Tell whether a stream exists; when the server cannot say, it may."""
    try:
        await jetstream.call(f"STREAM.INFO.{stream}")
    except StorageError as e:
        return e.err_code != STREAM_NOT_FOUND
    except UnavailableError:
        return True
    return True
