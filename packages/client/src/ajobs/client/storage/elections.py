"""Who leads, by what the elections' bucket holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ajobs.client.storage.jetstream.buckets import Bucket
from ajobs.client.storage.jetstream.errors import StreamNotFoundError
from ajobs.protocol.subjects import ELECTIONS_BUCKET

if TYPE_CHECKING:
    from ajobs.client.storage.storage import Storage


async def list_leaders(storage: Storage) -> dict[str, str]:
    """Return the name of the leader of each election that has one; nothing when there is no bucket."""
    bucket = Bucket(storage.connection, storage.jetstream, ELECTIONS_BUCKET)
    try:
        return {entry.key: entry.value.decode(errors="replace") async for entry in bucket.entries()}
    except StreamNotFoundError:
        return {}
