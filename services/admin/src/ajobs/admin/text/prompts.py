"""Confirmation prompts and progress bars."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Literal

from ajobs.admin.text.printing import console
from ajobs.protocol.errors import AjobsError, ConfigurationError


class DeclinedError(AjobsError):
    """The answer to a confirmation prompt was not yes."""

    reason = "declined"


def confirm(question: str, *, force: bool) -> None:
    """Ask a question on the terminal, unless ``force`` is set, and return if the answer is yes.

    Raises:
        ConfigurationError: Standard input is not a terminal, and ``force`` is not set.
        DeclinedError: The answer is not yes.
    """
    if force:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError(f"{question} Cannot ask without a terminal: rerun with --force")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201 - what the user reads
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise DeclinedError("cancelled, nothing changed")


@contextmanager
def progress(what: str, total: int | None, *, unit: Literal["", "bytes"] = "") -> Generator[Callable[[int], None]]:
    """Show a progress bar on standard error if that is a terminal, and yield a function that advances it.

    Args:
        what: Description, such as ``deleting``.
        total: Number of units, if it is known.
        unit: ``bytes``, or empty for things.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    count = DownloadColumn(binary_units=True) if unit else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), count, TimeRemainingColumn())
    with Progress(*columns, console=console(error=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)
