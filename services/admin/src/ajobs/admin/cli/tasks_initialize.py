"""``ajc tasks initialize``."""

from __future__ import annotations

from ajobs.admin.cli.arguments import Duration, Json
from ajobs.admin.cli.session import connect, create_stores
from ajobs.admin.cli.store_text import print_store
from ajobs.protocol.durations import from_ns


async def initialize(*, memory: bool = False, retention: Duration = 0, replicas: int = 1, json: Json = False) -> None:
    """Create missing stores.

    Existing stores stay as they are.

    Parameters
    ----------
    memory
        Keep the stores in memory instead of files.
    retention
        How long a task is kept after its last change; 0: without limit.
    replicas
        Number of servers that keep each store.
    """
    async with connect(replicas=replicas, task_retention=from_ns(retention)) as client:
        await create_stores(client, replicas=replicas, memory=memory, retention_ns=retention)
        await print_store(client, json=json)
