"""Handlers that create thumbnails in child processes, and write the page that shows them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ajobs.client import Queue
from ajobs.worker import Context, Router, TerminateTask

from .files import path_of, write_atomically
from .images import BadImageError, shrink
from .page import Thumbnail, page_of

QUEUE = Queue(name="IMAGES", max_run_time="2m")
"""Created by the first program that uses it."""
SIZES = (320, 640, 1280)
"""The longer side of each thumbnail, in pixels."""

router = Router()


class ThumbnailJob(msgspec.Struct):
    """A thumbnail to create. File names are relative to the shared folder, whose path may differ on each host."""

    upload: str
    album: str
    caption: str
    size: int


class PageJob(msgspec.Struct):
    """A page to write, with all thumbnails that its task depends on."""

    album: str


@router.handler("image:thumbnail", executor="process")
def make_thumbnail(job: ThumbnailJob) -> Thumbnail:
    """Create a thumbnail. It is idempotent: a second run, even at the same time, writes the same file again."""
    upload = checked(job.upload)
    try:
        data = upload.read_bytes()
    except FileNotFoundError:
        raise TerminateTask(f"file {job.upload} not found in the shared folder") from None
    try:
        shrunk = shrink(data, job.size)
    except BadImageError as e:
        raise TerminateTask(f"{job.caption}: {e}") from e
    # Other failures, such as a full disk, may pass and are retried.
    name = f"{upload.stem}-{job.size}.webp"
    write_atomically(checked(f"albums/{job.album}/{name}"), shrunk.data)
    return Thumbnail(job.caption, upload=job.upload, file=name, width=shrunk.width, height=shrunk.height)


@router.handler("album:page")
def write_page(job: PageJob, context: Context) -> str:
    """Write the page of an album and return its path in the shared folder."""
    thumbnails = context.dependency_results(Thumbnail).values()
    name = f"albums/{job.album}/index.html"
    write_atomically(checked(name), page_of(job.album, thumbnails).encode())
    context.logger.info("wrote %s with %d thumbnails", name, len(thumbnails))
    return name


def checked(name: str) -> Path:
    """Return the path of a name from a payload; terminate the task if it leads out of the shared folder."""
    try:
        return path_of(name)
    except ValueError as e:
        raise TerminateTask(str(e)) from e
