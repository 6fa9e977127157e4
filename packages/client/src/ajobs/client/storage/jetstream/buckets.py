"""Key-value buckets: streams whose subjects are keys, with one message for each."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ajobs.client.storage.jetstream.api import JetStream, PublishAck, decode_ack
from ajobs.client.storage.jetstream.errors import MessageNotFoundError, RevisionError, error_of
from ajobs.client.storage.jetstream.publish import Message, publish_patiently
from ajobs.client.storage.jetstream.scan import scan
from ajobs.protocol.headers import EXPECTED_LAST_SUBJECT_SEQUENCE, KV_OPERATION, header_block, parse_headers
from ajobs.protocol.subjects import bucket_stream, key_subject
from ajobs.protocol.timestamps import ZERO_TIME, parse_timestamp

if TYPE_CHECKING:
    from ajobs.client.nats.connection import Connection

_DELETED = frozenset({"DEL", "PURGE"})


class Entry(NamedTuple):
    """A key's value, the revision to change it by, when it was stored, in nanoseconds since 1970, and its headers."""

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
    """One bucket; it has to exist."""

    def __init__(self, connection: Connection, jetstream: JetStream, name: str) -> None:
        """Use the bucket by that name."""
        self._connection = connection
        self._jetstream = jetstream
        self.name = name
        self.stream = bucket_stream(name)
        self._prefix = key_subject(name, "")

    async def get(self, key: str) -> Entry | None:
        """Return what a key has, if anything.

        Raises:
            StorageError: There is no such bucket.
        """
        message = await self._get(key)
        if message is None or is_deletion(parse_headers(message.hdrs)):
            return None
        return Entry(key, message.data, message.seq, parse_timestamp(message.time), parse_headers(message.hdrs))

    async def put(self, key: str, value: bytes) -> int:
        """Give a key a value, whatever it had, and return its revision."""
        return await self._publish(key, value, None)

    async def create(self, key: str, value: bytes, headers: Mapping[str, str] | None = None) -> int:
        """Give a key that has no value one, and return its revision.

        Raises:
            RevisionError: It has one.
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
        """Give a key that still has a revision another value, and return the new revision.

        Args:
            key: The key.
            value: Its new value.
            revision: The revision that it has to have.
            headers: Headers to store with the value.
            patient: Whether to try again when there is no answer, although the first attempt may have been stored.

        Raises:
            RevisionError: It has another revision.
            RequestTimeoutError: There was no answer.
        """
        all_headers = {**(headers or {}), EXPECTED_LAST_SUBJECT_SEQUENCE: str(revision)}
        if patient:
            return await self._publish(key, value, all_headers)
        reply = await self._jetstream.requests.request(self._prefix + key, value, header_block(all_headers))
        return self._sequence(decode_ack(reply.data), key)

    async def delete(self, key: str, revision: int | None = None, headers: Mapping[str, str] | None = None) -> None:
        """Take a key's value away, if it still has that revision when one is given.

        Raises:
            RevisionError: It has another revision.
        """
        all_headers = {**(headers or {}), KV_OPERATION: "DEL"}
        if revision is not None:
            all_headers[EXPECTED_LAST_SUBJECT_SEQUENCE] = str(revision)
        await self._publish(key, b"", all_headers)

    @property
    def subjects(self) -> str:
        """Return the wildcard for what is written to the bucket, to be told of changes while connected."""
        return f"{self._prefix}>"

    def key_of(self, subject: str) -> str:
        """Return the key that a message to the bucket is about."""
        return subject.removeprefix(self._prefix)

    async def entries(self, prefix: str = "") -> AsyncGenerator[Entry]:
        """Yield all keys that have a value, or those below ``prefix``, which ends in a dot."""
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
    """Tell by a message's headers whether it takes a key's value away."""
    return headers.get(KV_OPERATION) in _DELETED
