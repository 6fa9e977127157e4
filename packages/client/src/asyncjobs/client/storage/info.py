"""How the task store stands."""

from __future__ import annotations

import msgspec

from asyncjobs.client.storage.api import JetStream, Json
from asyncjobs.client.storage.provision import find_stream
from asyncjobs.protocol.errors import StorageNotReadyError
from asyncjobs.protocol.subjects import TASKS_STREAM


class StoreInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The task store's settings and size."""

    tasks: int
    size_bytes: int
    replicas: int
    memory: bool
    retention_ns: int
    """Nanoseconds after its last change that a task is kept; 0: for ever."""
    created: str
    """When it was made, as RFC 3339."""
    first_change: str
    """When the least recently changed task was saved, as RFC 3339; the zero time when there is none."""
    last_change: str
    stream: Json
    """The stream's whole info, as the server answered it."""


async def store_info(jetstream: JetStream) -> StoreInfo:
    """Return how the task store stands.

    Raises:
        StorageNotReadyError: There is none.
    """
    info = await find_stream(jetstream, TASKS_STREAM)
    if info is None:
        msg = f"stream {TASKS_STREAM} does not exist: connect once without no_storage_init to make it"
        raise StorageNotReadyError(msg)
    config, state = info["config"], info["state"]
    return StoreInfo(
        tasks=state["messages"],
        size_bytes=state["bytes"],
        replicas=config.get("num_replicas", 1),
        memory=config.get("storage") == "memory",
        retention_ns=config.get("max_age", 0),
        created=info["created"],
        first_change=state["first_ts"],
        last_change=state["last_ts"],
        stream=info,
    )
