"""Create an album of pictures: ``python -m examples.thumbnails ALBUM FILE_OR_FOLDER...``."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from pathlib import Path

from ajobs.client import Client, TaskState
from ajobs.protocol.errors import AjobsError, TaskFailedError

from .files import path_of, shared_folder, write_atomically
from .tasks import QUEUE, SIZES, PageJob, ThumbnailJob


async def main(album: str, pictures: list[Path]) -> int:
    """Upload the pictures, wait for the page, and return the exit status."""
    uploads = {await asyncio.to_thread(upload, picture): picture for picture in pictures}
    # Workers may require signed tasks. The variable is the one that the other programs use.
    seed = os.environ.get("AJ_SIGNING_SEED_FILE")
    async with Client.connect(queue=QUEUE, signing_seed_file=seed) as client:
        thumbnails = [
            client.new_task("image:thumbnail", ThumbnailJob(name, album, picture.stem, size))
            for name, picture in uploads.items()
            for size in SIZES
        ]
        page = client.new_task("album:page", PageJob(album), depends_on=thumbnails, load_dependencies=True)
        bulk = await client.enqueue_many([*thumbnails, page])
        for failure in bulk.failed:
            print(f"not enqueued: {failure.error}", file=sys.stderr)
        try:
            print(shared_folder() / await client.result(page.id, str, timeout=300))
        except TaskFailedError as e:
            print(f"page not created: {e}", file=sys.stderr)
            for task in thumbnails:
                stored = await client.wait(task.id, timeout=300)
                if stored.state is not TaskState.COMPLETE:
                    print(f"{stored.state}: {stored.last_err}", file=sys.stderr)
            return 1
    return 0


def upload(picture: Path) -> str:
    """Copy a picture into the shared folder. Its name is a hash of its content, so that names cannot collide."""
    data = picture.read_bytes()
    name = f"uploads/{hashlib.sha256(data).hexdigest()[:16]}{picture.suffix.lower()}"
    write_atomically(path_of(name), data)
    return name


def expand(arguments: list[str]) -> list[Path]:
    """Return the given files, and the files in the given folders."""
    paths = [Path(argument) for argument in arguments]
    files = [sorted(path.iterdir()) if path.is_dir() else [path] for path in paths]
    return [file for group in files for file in group if not file.name.startswith(".")]


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: python -m examples.thumbnails ALBUM FILE_OR_FOLDER...")
    try:
        sys.exit(asyncio.run(main(sys.argv[1], expand(sys.argv[2:]))))
    except (AjobsError, OSError) as e:
        sys.exit(f"page not created: {e}")
