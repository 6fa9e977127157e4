"""The demo's handlers."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import msgspec

from ajobs.worker import Context, RetryTask, Router, Task, TerminateTask

router = Router()


class DigestJob(msgspec.Struct):
    """A file to compute the digest of."""

    path: str
    fail_once: bool = False
    """Whether to simulate a failure in the first try."""


class Digest(msgspec.Struct):
    """A file's digest."""

    path: str
    size: int
    sha256: str


class ReportJob(msgspec.Struct):
    """A report to write."""

    path: str


class Report(msgspec.Struct):
    """A report that was written."""

    path: str
    files: int
    size: int


@router.handler("file:digest")
def digest(job: DigestJob, task: Task) -> Digest:
    """Compute a file's digest. A plain function like this one runs in a thread."""
    if job.fail_once and task.tries == 1:
        raise RetryTask("simulated failure: the disk is busy", after=timedelta(milliseconds=200))
    try:
        with Path(job.path).open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            return Digest(job.path, file.tell(), sha256)
    except FileNotFoundError:
        raise TerminateTask(f"file not found: {job.path}") from None


@router.handler("report:build")
async def build_report(job: ReportJob, context: Context) -> Report:
    """Write the results of all parents to a file."""
    digests = sorted(context.dependency_results(Digest).values(), key=lambda each: each.path)
    size = sum(each.size for each in digests)
    lines = [
        "# Digests",
        "",
        f"{len(digests)} files, {size:,} bytes",
        "",
        "| SHA-256 | bytes | file |",
        "|---|---:|---|",
    ]
    lines += [f"| `{each.sha256[:16]}…` | {each.size:,} | {each.path} |" for each in digests]
    Path(job.path).write_text("\n".join(lines) + "\n", encoding="utf-8")  # noqa: ASYNC240 - one small write
    context.logger.info("wrote %s", job.path)
    return Report(job.path, len(digests), size)
