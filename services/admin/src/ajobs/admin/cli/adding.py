"""``ajc tasks add``: one task, or many from a file."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import IO, Annotated, Any

import msgspec
from cyclopts import Parameter

from ajobs.admin.cli.arguments import STDIN, Duration, Json, QueueName, listed
from ajobs.admin.cli.session import connect
from ajobs.admin.text.human import plural
from ajobs.admin.text.output import complain, say, show_json
from ajobs.admin.text.payloads import payload_of
from ajobs.admin.text.prompts import progress
from ajobs.client.client import Client
from ajobs.client.settings import Settings
from ajobs.client.tasks.ages import parse_age
from ajobs.client.tasks.new import TaskOptions, make_task
from ajobs.protocol.durations import MICROSECOND_NS
from ajobs.protocol.errors import AjobsError, ConfigurationError
from ajobs.protocol.subjects import DEFAULT_QUEUE
from ajobs.protocol.task import DEFAULT_MAX_TRIES, Task

BATCH = 10_000
"""How many lines are read at a time."""
MOST_COMPLAINTS = 20
"""How many failures are told one by one."""


class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A task on a line of a file."""

    type: str
    payload: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    queue: str | None = None
    id: str | None = None
    deadline: str | None = None
    """A duration from now on."""
    max_tries: int | None = None
    dependencies: tuple[str, ...] = ()
    load_dependencies: bool = False


_decode = msgspec.json.Decoder(Line).decode
_check_json = msgspec.json.Decoder(msgspec.Raw).decode


async def add(  # noqa: PLR0913 - what a task can be given
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
    """Add a task and print its id, or add many.

    Parameters
    ----------
    type_
        Its type.
    payload
        Its payload: JSON, or any other text, which becomes a JSON string; - is the standard input, @FILE a file.
    queue
        Its queue. DEFAULT is made when it is missing, others have to exist.
    deadline
        How long from now on it may still be started.
    tries
        How often it may be started; 0: no limit. Default: 10.
    depends
        Ids of tasks that have to complete first; several with commas, or repeated.
    load
        Its handler gets the results of those.
    id_
        An id of your own: a second task by that id is refused.
    file
        A file with the payload.
    raw
        Take the payload's bytes as they are.
    many
        A file with a task a line: {"type": ..., "payload": ..., "queue": ..., "id": ..., "deadline": "1h",
        "max_tries": ..., "dependencies": [...], "load_dependencies": ...}; or, with TYPE, a payload a line.
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
            raise ConfigurationError("--many has the payloads and ids in its lines: leave PAYLOAD, --file and --id out")
        with ExitStack() as stack:
            lines = _open(many, stack)
            async with connect(make=True, **settings) as client:
                return await _Many(client, _Maker(type_, options), as_json=json).run(lines, _size(many))
    if type_ is None:
        raise ConfigurationError("give the type of the task, or --many FILE")
    options["task_id"] = id_
    task = make_task(type_, payload_of(payload, file, raw=raw), **options)
    async with connect(make=True, **settings) as client:
        task = await client.enqueue(task)
    if json:
        show_json(task)
    else:
        say(task.id)
    return 0


class _Maker:
    """Makes tasks of lines, all with the same options where a line says nothing."""

    def __init__(self, task_type: str | None, options: TaskOptions) -> None:
        self._type = task_type
        self._options = options

    def make(self, line: bytes) -> Task:
        """Return the task of a line. Raises `AjobsError`."""
        try:
            if self._type is not None:
                _check_json(line)
                return make_task(self._type, line, **self._options)
            found = _decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
            raise ConfigurationError(f"{e}") from e
        options: TaskOptions = {**self._options, "queue": found.queue, "task_id": found.id}
        if found.deadline is not None:
            options["deadline"] = timedelta(microseconds=parse_age(found.deadline) // MICROSECOND_NS)
        if found.max_tries is not None:
            options["max_tries"] = found.max_tries
        if found.dependencies:
            options["depends_on"] = found.dependencies
        options["load_dependencies"] = found.load_dependencies or self._options.get("load_dependencies", False)
        return make_task(found.type, bytes(found.payload) or None, **options)


def _open(file: str, stack: ExitStack) -> IO[bytes]:
    if file == STDIN:
        return sys.stdin.buffer
    try:
        return stack.enter_context(Path(file).open("rb"))
    except OSError as e:
        raise ConfigurationError(f"cannot read {file}: {e.strerror}") from e


def _size(file: str) -> int | None:
    return None if file == STDIN else Path(file).stat().st_size


def _numbered(lines: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    return ((number, line.strip()) for number, line in enumerate(lines, 1) if line.strip())


class _Many:
    """Adds the tasks of a file, and keeps what became of them."""

    def __init__(self, client: Client, maker: _Maker, *, as_json: bool) -> None:
        self._client = client
        self._maker = maker
        self._as_json = as_json
        self._ids: list[str] = []
        self._failed: list[dict[str, Any]] = []
        self._count = 0

    async def run(self, lines: IO[bytes], size: int | None) -> int:
        """Add them and return the exit status."""
        numbered = _numbered(lines)
        with progress("adding", size, unit="bytes") as advance:
            while batch := await asyncio.to_thread(lambda: list(islice(numbered, BATCH))):
                await self._add(batch)
                advance(sum(len(line) + 1 for _, line in batch))
        self._report()
        return 1 if self._failed else 0

    async def _add(self, batch: list[tuple[int, bytes]]) -> None:
        tasks: list[Task] = []
        places: list[int] = []
        for number, line in batch:
            try:
                tasks.append(self._maker.make(line))
            except AjobsError as e:
                self._refuse(number, e)
            else:
                places.append(number)
        result = await self._client.enqueue_many(tasks)
        for failure in result.failed:
            self._refuse(places[failure.index], failure.error)
        self._count += len(result.enqueued)
        if self._as_json:
            self._ids += [task.id for task in result.enqueued]

    def _refuse(self, number: int, error: AjobsError) -> None:
        self._failed.append({"line": number, "error": str(error), "reason": error.reason})
        if len(self._failed) <= MOST_COMPLAINTS and not self._as_json:
            complain(f"line {number}: {error}")

    def _report(self) -> None:
        if self._as_json:
            show_json({"enqueued": self._ids, "failed": self._failed})
            return
        if len(self._failed) > MOST_COMPLAINTS:
            complain(f"and {plural(len(self._failed) - MOST_COMPLAINTS, 'more line')} that failed")
        say(f"{plural(self._count, 'task')} added, {len(self._failed):,} failed")
