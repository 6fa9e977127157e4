"""The leaders, from the bucket of elections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ajobs.client.storage.jetstream.errors import StreamNotFoundError
from ajobs.protocol.subjects import ELECTIONS_BUCKET

if TYPE_CHECKING:
    from ajobs.client.storage.storage import Storage


async def list_leaders(storage: Storage) -> dict[str, str]:
    """Return the leader of each election by name, without elections that have none."""
    bucket = storage.bucket(ELECTIONS_BUCKET)
    try:
        return {entry.key: entry.value.decode(errors="replace") async for entry in bucket.entries()}
    except StreamNotFoundError:
        return {}
