"""``python -m ajobs.admin.provision``: create missing streams, buckets and queues, and end.

For deployments whose services may not create them. Existing ones stay as they are, so it can run again at any time.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Iterable
from typing import Annotated

from cyclopts import App, Parameter

from ajobs.client import Client
from ajobs.client.settings import Settings
from ajobs.client.storage.workers import workers_bucket
from ajobs.protocol.durations import as_ns, format_duration, from_ns, parse_duration
from ajobs.protocol.names import check_name
from ajobs.protocol.queue import Queue, default_queue
from ajobs.protocol.subjects import DEFAULT_QUEUE
from ajobs.runtime.command import Program, run_app
from ajobs.runtime.environment import normalize_environment
from ajobs.runtime.options import DEFAULTS, ConnectionOptions, LogOptions, StorageOptions

logger = logging.getLogger("ajobs.admin")

app = App(
    name="python -m ajobs.admin.provision",
    help="Create missing streams, buckets and queues.",
    default_parameter=DEFAULTS,
)


PROGRAM = Program("ajobs provision")


@app.default
def provision(
    *,
    queues: Annotated[tuple[str, ...], Parameter(env_var="AJ_QUEUES")] = (),
    max_run_time: Annotated[str, Parameter(env_var="AJ_MAX_RUN_TIME")] = "1h",
    retention: Annotated[str, Parameter(env_var="AJ_TASK_RETENTION")] = "0s",
    storage: StorageOptions = StorageOptions(),
    connection: ConnectionOptions = ConnectionOptions(),
    log: LogOptions = LogOptions(),
) -> int:
    """Create missing streams, buckets and queues.

    Existing ones stay as they are.

    Parameters
    ----------
    queues
        Queues to create in addition to DEFAULT. Can be repeated, or name several, separated by commas. A weight as in
        NAME=N is ignored, so the text can be that of a worker.
    max_run_time
        Max run time of queues created here, such as 5m: how long a handler may take, and when the task of a dead worker
        is delivered again. That of DEFAULT is one minute.
    retention
        How long a task is kept after its last change, such as 720h; 0s: without limit.
    """
    log.start()
    run_time_ns = parse_duration(max_run_time)
    wanted = [Queue(name=name, max_run_time=from_ns(run_time_ns)) for name in _names(queues)]
    settings: Settings = {
        **storage.settings,
        **connection.settings,
        "task_retention": from_ns(parse_duration(retention)),
        "name": "ajobs-provision",
        "queue": default_queue(),
    }
    asyncio.run(_provision(wanted, connection.server, settings))
    return 0


def _names(texts: tuple[str, ...]) -> list[str]:
    found = [text.partition("=")[0].strip() for several in texts for text in several.split(",")]
    return [check_name("queue name", name) for name in found if name]


async def _provision(queues: list[Queue], server: str | None, settings: Settings) -> None:
    async with Client.connect(server, **settings) as client:
        await create_missing(client, queues)


async def create_missing(client: Client, queues: Iterable[Queue]) -> None:
    """Create DEFAULT, ``queues`` and the bucket of workers if they are missing. Connecting created the rest.

    Raises:
        StorageError: The server refuses to create one.
        PermissionDeniedError: The user of the client may not create one.
    """
    options = client.options
    await workers_bucket(client.storage, options, create=True)
    for wanted in (default_queue(), *(queue for queue in queues if queue.name != DEFAULT_QUEUE)):
        queue = await client.storage.queues.ensure(wanted, replicas=options.replicas, memory=options.memory_storage)
        logger.info("queue %s exists, max run time %s", queue.name, format_duration(as_ns(queue.max_run_time)))


if __name__ == "__main__":
    normalize_environment(os.environ)
    sys.exit(run_app(app, PROGRAM, sys.argv[1:]))
