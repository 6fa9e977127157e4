"""The tasks that the demo enqueues, and their expected final states."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from ajobs.client import Client, Task, TaskState
from examples.demo.tasks import DigestJob, ReportJob

MAX_FILES = 20_000
FAIL_EVERY = 10
"""The first try of one file in this many fails."""

_SKIPPED = {".git", ".venv", "__pycache__", "node_modules", ".hypothesis", ".pytest_cache", ".ruff_cache"}


class Plan(NamedTuple):
    """Tasks to enqueue, in order, and the expected final state of each task id."""

    tasks: list[Task]
    expected: dict[str, TaskState]
    report_id: str


def find_files(folder: Path) -> list[Path]:
    """Return the regular files in a folder and its subfolders, sorted, without those that tools generate."""
    files: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - _SKIPPED)
        files += [path for name in sorted(names) if (path := Path(parent, name)).is_file() and not path.is_symlink()]
    return files


def make_plan(client: Client, files: list[Path], report: Path) -> Plan:
    """Plan a digest of each file, two tasks that fail, and a report that depends on all digests."""
    digests = [
        client.new_task("file:digest", DigestJob(str(path.resolve()), fail_once=number % FAIL_EVERY == 1))
        for number, path in enumerate(files)
    ]
    missing = client.new_task("file:digest", DigestJob(str(report.with_name("no-such-file"))))
    late = client.new_task("file:digest", DigestJob(str(files[0])), deadline=timedelta(0))
    summary = client.new_task("report:build", ReportJob(str(report)), depends_on=digests, load_dependencies=True)
    expected = {task.id: TaskState.COMPLETE for task in (*digests, summary)}
    expected |= {missing.id: TaskState.TERMINATED, late.id: TaskState.EXPIRED}
    return Plan([*digests, missing, late, summary], expected, summary.id)
