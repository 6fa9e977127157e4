"""Makes the streams and buckets that are missing. What exists is used as it is."""

from __future__ import annotations

import asyncio
from typing import Any

from ajobs.client.storage.jetstream.api import STREAM_NAME_IN_USE, STREAM_NOT_FOUND, JetStream, Json
from ajobs.protocol.durations import MINUTE_NS, SECOND_NS
from ajobs.protocol.errors import StorageError
from ajobs.protocol.queue import UNLIMITED, tasks_stream_config
from ajobs.protocol.subjects import CONFIGURATION_BUCKET, ELECTIONS_BUCKET, TASKS_STREAM

ELECTION_TTL_NS = 10 * SECOND_NS
DUPLICATE_WINDOW_NS = 2 * MINUTE_NS


async def find_stream(jetstream: JetStream, name: str) -> Json | None:
    """Return a stream's info, or nothing when it does not exist."""
    try:
        return await jetstream.ask(f"STREAM.INFO.{name}")
    except StorageError as e:
        if e.err_code == STREAM_NOT_FOUND:
            return None
        raise


async def ensure_stream(jetstream: JetStream, config: Json) -> Json:
    """Return the info of the stream by that name, and make it first when it does not exist."""
    name = config["name"]
    info = await find_stream(jetstream, name)
    if info is not None:
        return info
    try:
        return await jetstream.call(f"STREAM.CREATE.{name}", config)
    except StorageError as e:
        if e.err_code != STREAM_NAME_IN_USE:
            raise
        # Somebody made it with other settings in the meantime.
        return await jetstream.ask(f"STREAM.INFO.{name}")


async def ensure_tasks_stream(jetstream: JetStream, *, replicas: int, memory: bool, retention_ns: int) -> Json:
    """Return the info of the task store, making it when it is missing.

    Direct gets are switched on in a store that another client made without: reading tasks then does not pass its
    leader. One who may not change the stream reads the slower way.
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
    """Make the buckets for configuration and elections when they are missing."""
    configuration = bucket_config(
        CONFIGURATION_BUCKET, "Choria Async Jobs Configuration", replicas=replicas, memory=memory
    )
    elections = bucket_config(
        ELECTIONS_BUCKET,
        "Choria Async Jobs Leader Elections",
        replicas=replicas,
        memory=memory,
        ttl_ns=ELECTION_TTL_NS,
    )
    await asyncio.gather(ensure_stream(jetstream, configuration), ensure_stream(jetstream, elections))


def bucket_config(name: str, description: str, *, replicas: int, memory: bool, ttl_ns: int = 0) -> dict[str, Any]:
    """Return the configuration of the stream that a key-value bucket is.

    Args:
        name: The bucket's name.
        description: For people.
        replicas: On how many servers it is kept.
        memory: Whether it is kept in memory instead of in files.
        ttl_ns: Nanoseconds that a value is kept; 0: for ever.
    """
    return {
        "name": f"KV_{name}",
        "description": description,
        "subjects": [f"$KV.{name}.>"],
        "retention": "limits",
        "discard": "new",
        "max_consumers": UNLIMITED,
        "max_msgs": UNLIMITED,
        "max_bytes": UNLIMITED,
        "max_msg_size": UNLIMITED,
        "max_msgs_per_subject": 1,
        "max_age": ttl_ns,
        # The server refuses a window that is longer than messages live.
        "duplicate_window": min(ttl_ns or DUPLICATE_WINDOW_NS, DUPLICATE_WINDOW_NS),
        "num_replicas": replicas,
        "allow_rollup_hdrs": True,
        "deny_delete": True,
        "allow_direct": True,
        "storage": "memory" if memory else "file",
    }
