"""Handlers that make thumbnails, each in a process of its own, and the page that shows them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ajobs.client import Queue
from ajobs.worker import Context, Router, TerminateTask

from .files import path_of, write_atomically
from .images import BadImageError, shrink
from .page import Thumbnail, page_of

QUEUE = Queue(name="IMAGES", max_run_time="2m")
"""Whoever comes first makes it."""
SIZES = (320, 640, 1280)
"""How many pixels the longer side of a thumbnail has."""

router = Router()


class ThumbnailJob(msgspec.Struct):
    """A thumbnail to make. Files are named from the shared folder on, so each host may have it somewhere else."""

    upload: str
    album: str
    caption: str
    size: int


class PageJob(msgspec.Struct):
    """A page to write about all thumbnails that its task depends on."""

    album: str


@router.handler("image:thumbnail", executor="process")
def make_thumbnail(job: ThumbnailJob) -> Thumbnail:
    """Make one thumbnail. Run twice, at the same time even, it writes the same file twice."""
    upload = checked(job.upload)
    try:
        data = upload.read_bytes()
    except FileNotFoundError:
        raise TerminateTask(f"there is no file {job.upload} in the shared folder") from None
    try:
        made = shrink(data, job.size)
    except BadImageError as e:
        raise TerminateTask(f"{job.caption}: {e}") from e
    # What else may go wrong, such as a full disk, is worth another try.
    name = f"{upload.stem}-{job.size}.webp"
    write_atomically(checked(f"albums/{job.album}/{name}"), made.data)
    return Thumbnail(job.caption, upload=job.upload, file=name, width=made.width, height=made.height)


@router.handler("album:page")
def write_page(job: PageJob, context: Context) -> str:
    """Write the page of an album, and return where in the shared folder it is."""
    thumbnails = context.dependency_results(Thumbnail).values()
    name = f"albums/{job.album}/index.html"
    write_atomically(checked(name), page_of(job.album, thumbnails).encode())
    context.logger.info("wrote %s with %d thumbnails", name, len(thumbnails))
    return name


def checked(name: str) -> Path:
    """Return the path of a name that a producer chose."""
    try:
        return path_of(name)
    except ValueError as e:
        raise TerminateTask(str(e)) from e
