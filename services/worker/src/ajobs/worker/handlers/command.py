"""Having a program handle tasks.

The program is run without a shell. It finds the task as JSON in the file that ``CHORIA_AJ_TASK`` names. What it writes,
to its output and its error output together, is the result; a status other than 0 fails the try.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self, TypedDict, Unpack

from ajobs.protocol.codec import encode
from ajobs.protocol.errors import ConfigurationError
from ajobs.worker.context import Context

TASK_VARIABLE = "CHORIA_AJ_TASK"
KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
"""Variables of the worker that a program sees. The others may hold secrets that are none of its business."""

MAX_OUTPUT = 256 * 1024
"""Bytes of output that are kept."""
ERROR_OUTPUT = 2_000
"""Characters of a failed program's last output that go into the task's error."""
TERMINATE_S = 3.0
"""Seconds that a program has to end after SIGTERM before it is killed."""
REST_S = 1.0
"""Seconds to wait for the rest of the output once the program has ended: what left its group may hold it open."""
CHUNK = 64 * 1024


class CommandFailedError(Exception):
    """A program could not be run, or ended with another status than 0."""


class CommandOptions(TypedDict, total=False):
    """What a `Command` can be given."""

    environment: Mapping[str, str]
    """Variables for the program besides ``CHORIA_AJ_TASK``, ``PATH`` and the locale's."""
    folder: str | None
    """Where it runs, instead of the worker's working directory."""
    max_output: int
    """Bytes of output that become the result; more is cut off, and the result says so."""


class Command:
    """A handler that runs a program for each task."""

    def __init__(self, path: str, *arguments: str, **options: Unpack[CommandOptions]) -> None:
        """Run the program at ``path`` with ``arguments``.

        Raises:
            ConfigurationError: The path is empty, or an option is wrong.
        """
        unknown = options.keys() - CommandOptions.__optional_keys__
        if not path or unknown:
            raise ConfigurationError(f"command {path!r}: {', '.join(sorted(unknown)) or 'no path'} cannot be used")
        self._command = (path, *arguments)
        self._environment = dict(options.get("environment", {}))
        self._folder = options.get("folder")
        self._max_output = options.get("max_output", MAX_OUTPUT)
        if self._max_output < 1:
            raise ConfigurationError(f"max_output is {self._max_output}: use 1 or more")

    def __repr__(self) -> str:
        """Show the program and its arguments."""
        return f"Command{self._command!r}"

    async def __call__(self, context: Context) -> str:
        """Run the program and return what it wrote.

        Raises:
            CommandFailedError: It is not there, cannot be run, or ended with another status than 0.
        """
        descriptor, path = tempfile.mkstemp(prefix="ajobs-task-", suffix=".json")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(encode(context.task))
            return await self._run(path)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108 - as it was made

    async def _run(self, task_file: str) -> str:
        kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        with _Output(self._max_output) as output:
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output.pipe,
                    stderr=output.pipe,
                    env=kept | self._environment | {TASK_VARIABLE: task_file},
                    cwd=self._folder,
                    start_new_session=True,  # a group of its own, to end it with all that it started
                )
            except OSError as e:
                raise CommandFailedError(f"cannot run {self._command[0]}: {self._why(e)}") from e
            output.close_pipe()
            try:
                status = await process.wait()
                # What it left running keeps its output open: the result is what was written until the program ended.
                _signal_group(process.pid, signal.SIGKILL)
                with suppress(TimeoutError):
                    async with asyncio.timeout(REST_S):
                        await output.ended.wait()
            finally:
                if process.returncode is None:
                    await _end(process)
        if status:
            raise CommandFailedError(f"{self._command[0]} {_status(status)}: {output.text[-ERROR_OUTPUT:].strip()}")
        return output.text

    def _why(self, error: OSError) -> str:
        """Return what is not there: the system says the same of three different things."""
        if isinstance(error, FileNotFoundError):
            if self._folder is not None and not Path(self._folder).is_dir():
                return f"there is no folder {self._folder}"
            if (Path(self._folder or ".") / self._command[0]).is_file():
                return "the program that its first line names is not there"
        return error.strerror or str(error)


class _Output:
    """The first bytes that a program writes; the rest is read and counted, for it would block otherwise.

    It is a pipe of our own, because it may have to be closed while somebody still holds its other end.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept = bytearray()
        self._size = 0
        self._loop = asyncio.get_running_loop()
        self.ended = asyncio.Event()

    def __enter__(self) -> Self:
        self._end, self.pipe = os.pipe()
        os.set_blocking(self._end, False)
        self._loop.add_reader(self._end, self._read)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.remove_reader(self._end)
        os.close(self._end)
        self.close_pipe()

    def close_pipe(self) -> None:
        """Close the end that the program writes to, which has its own copy by now."""
        if self.pipe >= 0:
            os.close(self.pipe)
            self.pipe = -1

    def _read(self) -> None:
        try:
            chunk = os.read(self._end, CHUNK)
        except BlockingIOError:
            return
        if not chunk:
            self._loop.remove_reader(self._end)
            self.ended.set()
        self._size += len(chunk)
        self._kept += chunk[: self._most - len(self._kept)]

    @property
    def text(self) -> str:
        text = self._kept.decode("utf-8", "replace")
        if self._size > self._most:
            text += f"\n[cut off after {self._most} of {self._size} bytes]"
        return text


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a program and all that it started, gently first."""
    _signal_group(process.pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(TERMINATE_S):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        _signal_group(process.pid, signal.SIGKILL)
        await process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _status(status: int) -> str:
    if status > 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
