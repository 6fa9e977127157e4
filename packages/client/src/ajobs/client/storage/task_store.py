"""The task store as a whole: its settings and size, changing settings, deleting all tasks."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from ajobs.client.storage.jetstream.api import JetStream, Json, no_task_store
from ajobs.client.storage.jetstream.errors import StreamNotFoundError
from ajobs.client.storage.provision import find_stream
from ajobs.protocol.durations import from_ns
from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.queue import MAX_REPLICAS
from ajobs.protocol.subjects import TASKS_STREAM


class StoreInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The task store's settings and size."""

    tasks: int
    size_bytes: int
    replicas: int
    memory: bool
    retention: timedelta
    """How long a task is kept after its last change; 0: until it is deleted."""
    created: str
    """When it was created, as RFC 3339."""
    first_change: str
    """When the least recently changed task was saved, as RFC 3339; the zero time for an empty store."""
    last_change: str


async def store_info(jetstream: JetStream) -> StoreInfo:
    """Return the settings and the size of the task store.

    Raises:
        StorageNotReadyError: The task store does not exist.
    """
    return _read(await _find(jetstream))


async def configure_store(jetstream: JetStream, *, retention_ns: int | None, replicas: int | None) -> StoreInfo:
    """Change the given settings, and return the settings and size of the store afterwards.

    Raises:
        StorageNotReadyError: The task store does not exist.
        ConfigurationError: A setting is out of range.
        StorageError: The server refuses the change.
    """
    if replicas is not None and not 1 <= replicas <= MAX_REPLICAS:
        raise ConfigurationError(f"replicas is {replicas}: use 1 to {MAX_REPLICAS}")
    config: Json = (await _find(jetstream))["config"]
    changed = dict(config)
    if retention_ns is not None:
        changed["max_age"] = retention_ns
    if retention_ns:
        # The server refuses a window that is longer than messages live.
        changed["duplicate_window"] = min(changed.get("duplicate_window", retention_ns), retention_ns)
    if replicas is not None:
        changed["num_replicas"] = replicas
    if changed != config:
        await jetstream.call(f"STREAM.UPDATE.{TASKS_STREAM}", changed)
    return await store_info(jetstream)


async def purge_store(jetstream: JetStream) -> int:
    """Delete all tasks and return how many there were. Work items for them are dropped by the workers that get them.

    Raises:
        StorageNotReadyError: The task store does not exist.
    """
    try:
        return (await jetstream.call(f"STREAM.PURGE.{TASKS_STREAM}"))["purged"]
    except StreamNotFoundError as e:
        raise no_task_store() from e


async def _find(jetstream: JetStream) -> Json:
    info = await find_stream(jetstream, TASKS_STREAM)
    if info is None:
        raise no_task_store()
    return info


def _read(info: Json) -> StoreInfo:
    config, state = info["config"], info["state"]
    return StoreInfo(
        tasks=state["messages"],
        size_bytes=state["bytes"],
        replicas=config.get("num_replicas", 1),
        memory=config.get("storage") == "memory",
        retention=from_ns(config.get("max_age", 0)),
        created=info["created"],
        first_change=state["first_ts"],
        last_change=state["last_ts"],
    )
