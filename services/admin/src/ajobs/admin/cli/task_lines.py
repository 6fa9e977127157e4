"""Adding the tasks of a file that has one of them on each line."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import IO, Any

import msgspec

from ajobs.admin.text.human import plural
from ajobs.admin.text.payloads import STDIN
from ajobs.admin.text.printing import complain, say, show_json
from ajobs.admin.text.prompts import progress
from ajobs.client.client import Client
from ajobs.client.tasks.ages import parse_age
from ajobs.client.tasks.new import TaskOptions, make_task
from ajobs.protocol.durations import MICROSECOND_NS
from ajobs.protocol.errors import AjobsError, ConfigurationError
from ajobs.protocol.task import Task

BATCH = 10_000
"""Number of lines that are read at a time."""
MOST_COMPLAINTS = 20
"""Number of failures that are printed one by one."""


class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of the file: one task."""

    type: str
    payload: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    queue: str | None = None
    id: str | None = None
    deadline: str | None = None
    """Duration from now."""
    max_tries: int | None = None
    dependencies: tuple[str, ...] = ()
    load_dependencies: bool = False


_decode = msgspec.json.Decoder(Line).decode
_check_json = msgspec.json.Decoder(msgspec.Raw).decode


class LineReader:
    """Builds tasks from lines. Options that a line does not set are the same for all."""

    def __init__(self, task_type: str | None, options: TaskOptions) -> None:
        """Read whole tasks, or payloads of one task type."""
        self._type = task_type
        self._options = options

    def read(self, line: bytes) -> Task:
        """Return the task of a line. Raises `AjobsError` if the line is not valid."""
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


def open_lines(file: str, stack: ExitStack) -> IO[bytes]:
    """Open a file, or standard input, until the stack is closed.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    if file == STDIN:
        return sys.stdin.buffer
    try:
        return stack.enter_context(Path(file).open("rb"))
    except OSError as e:
        raise ConfigurationError(f"cannot read {file}: {e.strerror}") from e


def size_of(file: str) -> int | None:
    """Return the size of a file in bytes, or ``None`` for standard input."""
    return None if file == STDIN else Path(file).stat().st_size


def _numbered(lines: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    return ((number, line.strip()) for number, line in enumerate(lines, 1) if line.strip())


class ManyTasks:
    """Adds the tasks of a file and collects failures."""

    def __init__(self, client: Client, reader: LineReader, *, as_json: bool) -> None:
        """Prepare to add the tasks that a reader builds."""
        self._client = client
        self._reader = reader
        self._as_json = as_json
        self._ids: list[str] = []
        self._failed: list[dict[str, Any]] = []
        self._count = 0

    async def run(self, lines: IO[bytes], size: int | None) -> int:
        """Add the tasks and return the exit status."""
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
                tasks.append(self._reader.read(line))
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
            complain(f"{plural(len(self._failed) - MOST_COMPLAINTS, 'more line')} failed")
        say(f"added {plural(self._count, 'task')}, {len(self._failed):,} failed")
