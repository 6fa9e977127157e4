"""``ajc tasks configure``."""

from __future__ import annotations

from ajobs.admin.cli.arguments import Duration, Json
from ajobs.admin.cli.session import connect
from ajobs.admin.cli.store_text import print_store
from ajobs.protocol.durations import from_ns


async def configure(retention: Duration, replicas: int | None = None, /, *, json: Json = False) -> None:
    """Change the settings of the task store.

    Parameters
    ----------
    retention
        How long a task is kept after its last change; 0: without limit.
    replicas
        Number of servers that keep the store. Default: unchanged.
    """
    async with connect() as client:
        await client.configure_store(retention=from_ns(retention), replicas=replicas)
        await print_store(client, json=json)
