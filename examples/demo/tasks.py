"""The demo's handlers, as a team would write its own."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import msgspec

from ajobs.worker import Context, RetryTask, Router, Task, TerminateTask

router = Router()


class DigestJob(msgspec.Struct):
    """A file to make the digest of."""

    path: str
    fail_once: bool = False
    """Pretend that the first try fails."""


class Digest(msgspec.Struct):
    """A file's digest."""

    path: str
    size: int
    sha256: str


class ReportJob(msgspec.Struct):
    """A report to write."""

    path: str


class Report(msgspec.Struct):
    """What was written."""

    path: str
    files: int
    size: int


@router.handler("file:digest")
def digest(job: DigestJob, task: Task) -> Digest:
    """Read the file; a plain function like this one runs in a thread."""
    if job.fail_once and task.tries == 1:
        raise RetryTask("pretending that the disk was busy", after=timedelta(milliseconds=200))
    try:
        with Path(job.path).open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            return Digest(job.path, file.tell(), sha256)
    except FileNotFoundError:
        raise TerminateTask(f"there is no file {job.path}") from None


@router.handler("report:build")
async def build_report(job: ReportJob, context: Context) -> Report:
    """Write the results of all tasks that this one depends on into a file."""
    digests = sorted(context.dependency_results(Digest).values(), key=lambda found: found.path)
    size = sum(found.size for found in digests)
    lines = [
        "# Digests",
        "",
        f"{len(digests)} files, {size:,} bytes",
        "",
        "| SHA-256 | bytes | file |",
        "|---|---:|---|",
    ]
    lines += [f"| `{found.sha256[:16]}…` | {found.size:,} | {found.path} |" for found in digests]
    Path(job.path).write_text("\n".join(lines) + "\n", encoding="utf-8")  # noqa: ASYNC240 - one small write
    context.logger.info("wrote %s", job.path)
    return Report(job.path, len(digests), size)
