"""``ajc tasks add``."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from typing import Annotated

from cyclopts import Parameter

from ajobs.admin.cli.arguments import Duration, Json, QueueName, listed
from ajobs.admin.cli.session import connect
from ajobs.admin.cli.task_lines import LineReader, ManyTasks, open_lines, size_of
from ajobs.admin.text.payloads import payload_of
from ajobs.admin.text.printing import say, show_json
from ajobs.client.settings import Settings
from ajobs.client.tasks.new import TaskOptions, make_task
from ajobs.protocol.durations import MICROSECOND_NS
from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.subjects import DEFAULT_QUEUE
from ajobs.protocol.task import DEFAULT_MAX_TRIES


async def add(  # noqa: PLR0913 - each option is a parameter
    type_: Annotated[str | None, Parameter(name="TYPE")] = None,
    payload: str | None = None,
    /,
    *,
    queue: QueueName = DEFAULT_QUEUE,
    deadline: Duration | None = None,
    tries: int | None = None,
    depends: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = (),
    load: bool = False,
    id_: Annotated[str | None, Parameter(name="--id")] = None,
    file: str | None = None,
    raw: bool = False,
    many: str | None = None,
    json: Json = False,
) -> int:
    """Add a task and print its ID, or add many.

    Parameters
    ----------
    type_
        Type of the task.
    payload
        Payload: JSON, or any other text, which becomes a JSON string; - reads standard input, @FILE a file.
    queue
        Queue of the task. DEFAULT is created if it is missing; other queues must exist.
    deadline
        Time from now after which the task may no longer start.
    tries
        Maximum number of tries; 0: no limit. Default: 10.
    depends
        IDs of tasks that must be complete first. Can be repeated, or name several, separated by commas.
    load
        Pass the results of those tasks to the handler.
    id_
        ID of your choice. A second task with the same ID is refused.
    file
        File with the payload.
    raw
        Store the bytes of the payload unchanged.
    many
        File with one task per line: {"type": ..., "payload": ..., "queue": ..., "id": ..., "deadline": "1h",
        "max_tries": ..., "dependencies": [...], "load_dependencies": ...}. With TYPE, one payload per line.
    """
    options: TaskOptions = {
        "max_tries": DEFAULT_MAX_TRIES if tries is None else tries,
        "deadline": None if deadline is None else timedelta(microseconds=deadline // MICROSECOND_NS),
        "depends_on": listed(depends),
        "load_dependencies": load,
    }
    settings: Settings = {"queue": queue, "bind": queue != DEFAULT_QUEUE}
    if many is not None:
        if payload is not None or file is not None or id_ is not None:
            raise ConfigurationError("the lines of --many hold payloads and ids: remove PAYLOAD, --file and --id")
        with ExitStack() as stack:
            lines = open_lines(many, stack)
            async with connect(create=True, **settings) as client:
                return await ManyTasks(client, LineReader(type_, options), as_json=json).run(lines, size_of(many))
    if type_ is None:
        raise ConfigurationError("no task type: pass TYPE, or --many FILE")
    options["task_id"] = id_
    task = make_task(type_, payload_of(payload, file, raw=raw), **options)
    async with connect(create=True, **settings) as client:
        task = await client.enqueue(task)
    if json:
        show_json(task)
    else:
        say(task.id)
    return 0
