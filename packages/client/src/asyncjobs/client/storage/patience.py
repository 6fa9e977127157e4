"""Publishing into a stream until it is known what became of it, for as long as patience lasts."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

from asyncjobs.client.requests import NoRespondersError, NotConnectedError
from asyncjobs.client.storage.api import PAUSE_S, STREAM_NOT_FOUND, JetStream, PublishAck
from asyncjobs.protocol.errors import RequestTimeoutError, StorageError, UnavailableError


class Published(NamedTuple):
    """The server's answer, and whether an earlier attempt without an answer may have been stored already."""

    ack: PublishAck
    uncertain: bool


async def publish_patiently(
    jetstream: JetStream,
    stream: str,
    subject: str,
    data: bytes,
    headers: bytes = b"",
) -> Published:
    """Publish until the server answers.

    The message may be stored more than once: its headers, or its meaning, have to make that harmless.

    Args:
        jetstream: Where to.
        stream: The stream that takes ``subject``.
        subject: The message's subject.
        data: Its bytes.
        headers: Its headers, as `header_block` makes them.

    Returns:
        The answer, with the error in it when JetStream refused the message.

    Raises:
        RequestTimeoutError: Patience ran out; it is not known whether the message is stored.
        NoRespondersError: There is no such stream.
        PayloadTooLargeError: The message is larger than the server takes.
        ConnectionFailedError: The connection is closed for good, or was not there for too long.
    """
    give_up = time.monotonic() + jetstream.patience_s
    uncertain = False
    while True:
        try:
            return Published(await jetstream.publish(subject, data, headers), uncertain)
        except RequestTimeoutError:
            uncertain = True
            if time.monotonic() >= give_up:
                raise
        except NotConnectedError:
            if time.monotonic() >= give_up:
                raise
        except NoRespondersError:
            # A stream that has no leader right now looks just like one that is not there.
            if time.monotonic() >= give_up or not await stream_exists(jetstream, stream):
                raise
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
