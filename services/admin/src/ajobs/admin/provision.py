"""``python -m ajobs.admin.provision``: make the streams, buckets and queues that are missing, and end.

For where the services themselves may make nothing. What exists stays as it is, so it may be run again at any time.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Literal

from cyclopts import App, Parameter

from ajobs.client import Client
from ajobs.client.storage.workers import workers_bucket
from ajobs.protocol.durations import as_ns, format_duration, from_ns, parse_duration
from ajobs.protocol.errors import AjobsError
from ajobs.protocol.names import check_name
from ajobs.protocol.queue import Queue, default_queue
from ajobs.protocol.subjects import DEFAULT_QUEUE
from ajobs.runtime.logging import start_logging

USAGE_ERROR = 2
FAILED = 1

logger = logging.getLogger("ajobs.admin")

app = App(name="python -m ajobs.admin.provision", help="Make the streams, buckets and queues that are missing.")


@app.default
def provision(  # noqa: PLR0913 - one argument an option
    *,
    queues: Annotated[tuple[str, ...], Parameter(env_var="AJ_QUEUES")] = (),
    max_run_time: Annotated[str, Parameter(env_var="AJ_MAX_RUN_TIME")] = "1h",
    replicas: Annotated[int, Parameter(env_var="AJ_REPLICAS")] = 1,
    retention: Annotated[str, Parameter(env_var="AJ_TASK_RETENTION")] = "0s",
    server: Annotated[str | None, Parameter(env_var="AJ_NATS_URL")] = None,
    log_format: Annotated[Literal["text", "json"], Parameter(env_var="AJ_LOG_FORMAT")] = "text",
    log_level: Annotated[str, Parameter(env_var="AJ_LOG_LEVEL")] = "info",
) -> int:
    """Make the streams, buckets and queues that are missing. What exists stays as it is.

    Parameters
    ----------
    queues
        Queues to make, besides DEFAULT. Can be repeated, or be several with commas; NAME=N is understood as NAME, so
        that the text may be that of a worker.
    max_run_time
        How long a handler of a queue that is made may take, and how long the task of a worker that died waits for
        another one, such as 5m. DEFAULT has one minute.
    replicas
        On how many servers to keep what is made, 1 to 5.
    retention
        How long after its last change a task is kept, such as 720h; 0s: for ever.
    server
        URL of a NATS server. Default: what NATS_URL or the NATS context says, else the loopback address.
    log_format
        text, or json with an object a line.
    log_level
        debug, info, warning or error.
    """
    try:
        start_logging(level=log_level, log_format=log_format)
        run_time_ns = parse_duration(max_run_time)
        wanted = [Queue(name=name, max_run_time=from_ns(run_time_ns)) for name in _names(queues)]
        asyncio.run(_provision(wanted, server, replicas=replicas, retention=from_ns(parse_duration(retention))))
    except AjobsError as e:
        print(f"ajobs provision: {e}", file=sys.stderr)  # noqa: T201 - what the user reads
        return USAGE_ERROR if e.code == "invalid_argument" else FAILED
    return 0


def _names(texts: tuple[str, ...]) -> list[str]:
    found = [text.partition("=")[0].strip() for several in texts for text in several.split(",")]
    return [check_name("queue name", name) for name in found if name]


async def _provision(queues: list[Queue], server: str | None, *, replicas: int, retention: timedelta) -> None:
    async with Client.connect(
        server, queue=default_queue(), replicas=replicas, task_retention=retention, name="ajobs-provision"
    ) as client:
        await make_missing(client, queues)


async def make_missing(client: Client, queues: Iterable[Queue]) -> None:
    """Make what is missing: DEFAULT and ``queues``, and the bucket of workers; connecting made the rest.

    Raises:
        StorageError: The server refuses to make it.
        PermissionDeniedError: The client's user may not make it.
    """
    options = client.options
    await workers_bucket(client.storage, options, create=True)
    for wanted in (default_queue(), *(queue for queue in queues if queue.name != DEFAULT_QUEUE)):
        queue = await client.storage.queues.ensure(wanted, replicas=options.replicas, memory=options.memory_storage)
        logger.info("queue %s is there, max run time %s", queue.name, format_duration(as_ns(queue.max_run_time)))


if __name__ == "__main__":
    sys.exit(app())
