"""``ajc info``: how everything stands."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from asyncjobs.admin.cli.arguments import Duration, Json
from asyncjobs.admin.cli.output import show_json
from asyncjobs.admin.cli.session import connect


async def info(
    *,
    replica: Annotated[int, Parameter(name=("--replica", "-R"))] = 1,
    memory: bool = False,
    retention: Duration = 0,
    json: Json = False,
) -> None:
    """Show the stores, all queues, and who leads. Stores that are missing are made first.

    Parameters
    ----------
    replica
        On how many servers to keep stores that are made.
    memory
        Keep stores that are made in the servers' memory.
    retention
        How long after its last change a task is kept in a store that is made; 0: for ever.
    """
    async with connect(make=True, replicas=replica, memory_storage=memory, task_retention_ns=retention) as client:
        found: dict[str, Any] = {"tasks": (await client.store_info()).tasks, "leaders": await client.leaders()}
    show_json(found)
    del json
