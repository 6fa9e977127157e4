"""Create missing streams and buckets. Existing ones are used as they are."""

from __future__ import annotations

import asyncio

from ajobs.client.storage.jetstream.api import JetStream, Json
from ajobs.client.storage.jetstream.errors import StreamNameInUseError, StreamNotFoundError
from ajobs.protocol.buckets import configuration_bucket, elections_bucket
from ajobs.protocol.errors import StorageError
from ajobs.protocol.queue import tasks_stream_config
from ajobs.protocol.subjects import TASKS_STREAM


async def find_stream(jetstream: JetStream, name: str) -> Json | None:
    """Return a stream's info, or ``None`` if it does not exist."""
    try:
        return await jetstream.ask(f"STREAM.INFO.{name}")
    except StreamNotFoundError:
        return None


async def ensure_stream(jetstream: JetStream, config: Json) -> Json:
    """Return the info of a stream, and create the stream first if it does not exist."""
    name = config["name"]
    info = await find_stream(jetstream, name)
    if info is not None:
        return info
    try:
        return await jetstream.call(f"STREAM.CREATE.{name}", config)
    except StreamNameInUseError:
        # Another client created it with other settings meanwhile.
        return await jetstream.ask(f"STREAM.INFO.{name}")


async def ensure_tasks_stream(jetstream: JetStream, *, replicas: int, memory: bool, retention_ns: int) -> Json:
    """Return the info of the task store, and create the store first if it is missing.

    Direct gets are enabled in a store that another client created without them, so that reads do not pass its
    leader. A client that may not change the stream reads the slower way.
    """
    config = tasks_stream_config(replicas=replicas, memory=memory, retention_ns=retention_ns)
    info = await ensure_stream(jetstream, config)
    if info["config"].get("allow_direct"):
        return info
    try:
        return await jetstream.call(f"STREAM.UPDATE.{TASKS_STREAM}", info["config"] | {"allow_direct": True})
    except StorageError:
        return info


async def ensure_buckets(jetstream: JetStream, *, replicas: int, memory: bool) -> None:
    """Create the buckets for configuration and elections if they are missing."""
    configuration = configuration_bucket(replicas=replicas, memory=memory)
    elections = elections_bucket(replicas=replicas, memory=memory)
    await asyncio.gather(ensure_stream(jetstream, configuration), ensure_stream(jetstream, elections))
