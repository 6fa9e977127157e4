"""The workers, from the bucket in which they announce themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ajobs.client.storage.jetstream.buckets import Bucket
from ajobs.client.storage.provision import ensure_stream, find_stream
from ajobs.protocol.buckets import presence_bucket
from ajobs.protocol.errors import DecodeError
from ajobs.protocol.presence import WorkerPresence, decode_presence
from ajobs.protocol.subjects import WORKERS_BUCKET

if TYPE_CHECKING:
    from ajobs.client.options import ClientOptions
    from ajobs.client.storage.storage import Storage


async def workers_bucket(storage: Storage, options: ClientOptions, *, create: bool) -> Bucket | None:
    """Return the bucket in which workers announce themselves, or ``None`` if it is missing and must not be created.

    It is kept in memory, because an announcement is valid for a few seconds.

    Raises:
        StorageError: The server refuses to create it.
    """
    bucket = storage.bucket(WORKERS_BUCKET)
    if not create:
        return None if await find_stream(storage.jetstream, bucket.stream) is None else bucket
    config = presence_bucket(replicas=options.replicas)
    await ensure_stream(storage.jetstream, config)
    return bucket


async def list_workers(storage: Storage, options: ClientOptions) -> list[WorkerPresence]:
    """Return the living workers, sorted by name. Documents of other versions, which cannot be decoded, are skipped."""
    bucket = await workers_bucket(storage, options, create=False)
    if bucket is None:
        return []
    found: list[WorkerPresence] = []
    async for entry in bucket.entries():
        try:
            found.append(decode_presence(entry.value))
        except DecodeError:
            continue
    return sorted(found, key=lambda worker: (worker.name, worker.id))
