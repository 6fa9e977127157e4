"""Handle tasks with a program.

The program runs without a shell. ``CHORIA_AJ_TASK`` names a file with the task as JSON. The result is the standard
output and standard error together. A status other than 0 fails the try.
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
"""Variables of the worker that a program sees. Others may hold secrets."""

MAX_OUTPUT = 256 * 1024
"""Bytes of output to keep."""
ESCAPED = 2
"""Bytes of JSON per byte of output to keep. Control characters take 6, and a result must fit into one message."""
ERROR_OUTPUT = 2_000
"""Characters of the end of a failed program's output that go into the task's error."""
TERMINATE_S = 3.0
"""Seconds between SIGTERM and SIGKILL."""
REST_S = 1.0
"""Seconds to wait for the rest of the output once the program has ended. A detached child may hold it open."""
CHUNK = 64 * 1024


class CommandFailedError(Exception):
    """A program could not be started, or ended with a status other than 0."""


class CommandOptions(TypedDict, total=False):
    """The options of a `Command`."""

    environment: Mapping[str, str]
    """Environment variables, in addition to ``CHORIA_AJ_TASK``, ``PATH`` and those of the locale."""
    folder: str | None
    """Working directory. Default: that of the worker."""
    max_output: int
    """Bytes of output in the result. The rest is cut off, with a note."""


class Command:
    """A handler that runs a program for each task."""

    def __init__(self, path: str, *arguments: str, **options: Unpack[CommandOptions]) -> None:
        """Run the program at ``path`` with ``arguments``.

        Raises:
            ConfigurationError: The path is empty, or an option is invalid.
        """
        unknown = options.keys() - CommandOptions.__optional_keys__
        if not path or unknown:
            raise ConfigurationError(f"command {path!r}: {', '.join(sorted(unknown)) or 'no path'} cannot be used")
        self._command = (path, *arguments)
        self._environment = dict(options.get("environment", {}))
        self._folder = options.get("folder")
        self._max_output = options.get("max_output", MAX_OUTPUT)
        if self._max_output < 1:
            raise ConfigurationError(f"invalid max_output {self._max_output}: use 1 or more")

    def __repr__(self) -> str:
        """Show the program and its arguments."""
        return f"Command{self._command!r}"

    async def __call__(self, context: Context) -> str:
        """Run the program and return its output.

        Raises:
            CommandFailedError: The program could not be started, or ended with a status other than 0.
        """
        descriptor, path = tempfile.mkstemp(prefix="ajobs-task-", suffix=".json")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(encode(context.task))
            return await self._run(path)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108 - the path as mkstemp returned it

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
                    start_new_session=True,  # a group of its own, to end it with its children
                )
            except OSError as e:
                raise CommandFailedError(f"cannot run {self._command[0]}: {self._why(e)}") from e
            output.close_pipe()
            try:
                status = await process.wait()
                # Children left behind would keep the output open. The result is the output until the program ended.
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
        """Return the reason. The system reports one error for a missing folder, program or interpreter."""
        if isinstance(error, FileNotFoundError):
            if self._folder is not None and not Path(self._folder).is_dir():
                return f"no such folder: {self._folder}"
            if (Path(self._folder or ".") / self._command[0]).is_file():
                return "the interpreter in its first line does not exist"
        return error.strerror or str(error)


class _Output:
    """The first bytes that a program writes. The rest is read and counted, because the program would block otherwise.

    The pipe is our own, because we may have to close it while a detached child still holds its other end.
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
        """Close our copy of the writing end. The program has its own."""
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
        fitting = _fitting(text, ESCAPED * self._most)
        if self._size > self._most or len(fitting) < len(text):
            kept = min(self._most, len(fitting.encode()))
            return f"{fitting}\n[cut off after {kept} of {self._size} bytes]"
        return text


def _fitting(text: str, most: int) -> str:
    """Return the beginning of a text that has at most this many bytes as JSON."""
    while text and (size := len(encode(text))) > most:
        text = text[: min(len(text) * most // size, len(text) - 1)]
    return text


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a program and its children, with SIGTERM first."""
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
