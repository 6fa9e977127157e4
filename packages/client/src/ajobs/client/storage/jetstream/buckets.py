"""Key-value buckets: streams whose subjects are keys, with one message per key."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ajobs.client.storage.jetstream.api import JetStream, PublishAck, decode_ack
from ajobs.client.storage.jetstream.errors import MessageNotFoundError, RevisionError, error_of
from ajobs.client.storage.jetstream.publish import Message, publish_patiently
from ajobs.client.storage.jetstream.scan import scan
from ajobs.protocol.errors import AjobsError
from ajobs.protocol.headers import EXPECTED_LAST_SUBJECT_SEQUENCE, KV_OPERATION, header_block, parse_headers
from ajobs.protocol.subjects import bucket_stream, key_subject
from ajobs.protocol.timestamps import ZERO_TIME, parse_timestamp

if TYPE_CHECKING:
    from ajobs.client.nats.connection import Connection

_DELETED = frozenset({"DEL", "PURGE"})


class Entry(NamedTuple):
    """A key with its value, its revision, the time it was stored in nanoseconds since 1970, and its headers."""

    key: str
    value: bytes
    revision: int
    stored_ns: int
    headers: Mapping[str, str]


class _Message(msgspec.Struct):
    seq: int
    data: bytes = b""
    hdrs: bytes = b""
    time: str = ZERO_TIME


class _Answer(msgspec.Struct):
    message: _Message


_decode_answer = msgspec.json.Decoder(_Answer).decode


class Bucket:
    """One bucket, which must exist."""

    def __init__(self, connection: Connection, jetstream: JetStream, name: str) -> None:
        """Use the bucket with this name."""
        self._connection = connection
        self._jetstream = jetstream
        self.name = name
        self.stream = bucket_stream(name)
        self._prefix = key_subject(name, "")

    async def get(self, key: str) -> Entry | None:
        """Return the entry of a key, or ``None`` if it has no value.

        Raises:
            StorageError: The bucket does not exist.
        """
        message = await self._get(key)
        if message is None or is_deletion(parse_headers(message.hdrs)):
            return None
        return Entry(key, message.data, message.seq, parse_timestamp(message.time), parse_headers(message.hdrs))

    async def put(self, key: str, value: bytes) -> int:
        """Set the value of a key, whatever it was, and return the new revision."""
        return await self._publish(key, value, None)

    async def create(self, key: str, value: bytes, headers: Mapping[str, str] | None = None) -> int:
        """Set the value of a key that has none, and return its revision.

        Raises:
            RevisionError: The key has a value.
        """
        try:
            return await self.update(key, value, 0, headers)
        except RevisionError:
            message = await self._get(key)
            if message is None or not is_deletion(parse_headers(message.hdrs)):
                raise
            return await self.update(key, value, message.seq, headers)

    async def update(
        self, key: str, value: bytes, revision: int, headers: Mapping[str, str] | None = None, *, patient: bool = True
    ) -> int:
        """Change the value of a key if it still has a revision, and return the new revision.

        Args:
            key: The key.
            value: Its new value.
            revision: The expected revision.
            headers: Headers to store with the value.
            patient: Whether to repeat an unanswered attempt, although it may have been stored.

        Raises:
            RevisionError: The key has another revision.
            RequestTimeoutError: No answer came.
        """
        all_headers = {**(headers or {}), EXPECTED_LAST_SUBJECT_SEQUENCE: str(revision)}
        if patient:
            return await self._publish(key, value, all_headers)
        reply = await self._jetstream.requests.request(self._prefix + key, value, header_block(all_headers))
        return self._sequence(decode_ack(reply.data), key)

    async def delete(self, key: str, revision: int | None = None, headers: Mapping[str, str] | None = None) -> None:
        """Delete the value of a key, if the key still has the given revision.

        Raises:
            RevisionError: The key has another revision.
        """
        await self._delete(key, revision, headers)

    async def remove(self, key: str) -> None:
        """Delete the value of a key, and then the message that says so, which `delete` leaves in the stream.

        A client without permission to purge leaves it there too, which does no harm.
        """
        marker = await self._delete(key, None, None)
        # Only up to the marker: another client may have created the key again.
        body = {"filter": self._prefix + key, "seq": marker + 1}
        with suppress(AjobsError):
            await self._jetstream.call(f"STREAM.PURGE.{self.stream}", body)

    async def _delete(self, key: str, revision: int | None, headers: Mapping[str, str] | None) -> int:
        all_headers = {**(headers or {}), KV_OPERATION: "DEL"}
        if revision is not None:
            all_headers[EXPECTED_LAST_SUBJECT_SEQUENCE] = str(revision)
        return await self._publish(key, b"", all_headers)

    @property
    def subjects(self) -> str:
        """Return the wildcard of all keys, to follow changes while connected."""
        return f"{self._prefix}>"

    def key_of(self, subject: str) -> str:
        """Return the key of a message to the bucket."""
        return subject.removeprefix(self._prefix)

    async def entries(self, prefix: str = "") -> AsyncGenerator[Entry]:
        """Yield the entries of all keys with a value, or of those below ``prefix``, which ends in a dot."""
        async with aclosing(
            scan(self._connection, self._jetstream, self.stream, f"{self._prefix}{prefix}>")
        ) as messages:
            async for message in messages:
                headers = message.headers
                if not is_deletion(headers):
                    key = message.subject.removeprefix(self._prefix)
                    yield Entry(key, message.data, message.sequence, message.timestamp_ns, headers)

    async def _get(self, key: str) -> _Message | None:
        body = {"last_by_subj": self._prefix + key}
        try:
            return _decode_answer(await self._jetstream.ask_raw(f"STREAM.MSG.GET.{self.stream}", body)).message
        except MessageNotFoundError:
            return None

    async def _publish(self, key: str, value: bytes, headers: dict[str, str] | None) -> int:
        ack, _ = await publish_patiently(
            self._jetstream, Message(self.stream, self._prefix + key, value, header_block(headers))
        )
        return self._sequence(ack, key)

    def _sequence(self, ack: PublishAck, key: str) -> int:
        if ack.error is None:
            return ack.seq
        error = error_of(ack.error, f"bucket {self.name}")
        if isinstance(error, RevisionError):
            raise RevisionError(f"key {key} of bucket {self.name} was changed", err_code=error.err_code)
        raise error


def is_deletion(headers: Mapping[str, str]) -> bool:
    """Return whether a message with these headers deletes the value of its key."""
    return headers.get(KV_OPERATION) in _DELETED
