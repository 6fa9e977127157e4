"""Asking before something is destroyed, and showing how far something long has come."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Literal

from ajobs.admin.text.output import console
from ajobs.protocol.errors import AjobsError, ConfigurationError


class DeclinedError(AjobsError):
    """Somebody answered no."""

    reason = "declined"


def confirm(question: str, *, force: bool) -> None:
    """Ask a question on the terminal, unless told not to, and return when the answer is yes.

    Raises:
        ConfigurationError: There is no terminal to ask on, and ``force`` is not set.
        DeclinedError: The answer is something else.
    """
    if force:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError(f"{question} There is no terminal to ask on: use --force")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201 - what the user reads
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise DeclinedError("nothing was changed")


@contextmanager
def progress(what: str, total: int | None, *, unit: Literal["", "bytes"] = "") -> Generator[Callable[[int], None]]:
    """Show a bar on the error output, if that is a terminal; call what is given with how many were done since.

    Args:
        what: What is being done.
        total: How many there are, if it is known.
        unit: What is counted, if it is bytes.
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
