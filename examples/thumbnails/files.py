"""The folder that producers and workers share."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def shared_folder() -> Path:
    """Return the path of the folder on this host."""
    return Path(os.environ.get("THUMBNAILS_FOLDER", "thumbnails")).resolve()


def path_of(name: str) -> Path:
    """Return the path of a name in the shared folder.

    Raises:
        ValueError: The name leads out of the folder, as ``../x`` and ``/x`` do.
    """
    folder = shared_folder()
    path = (folder / name).resolve()
    if not path.is_relative_to(folder):
        raise ValueError(f"{name} is not in the shared folder")
    return path


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that readers see either the whole new content or the old one, even if this process is killed.

    A killed process leaves a file ``.*.part`` behind, which nothing reads.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as part:
        try:
            part.write(data)
            part.flush()
            os.fsync(part.fileno())  # a task must not be complete before its file survives a power loss
            Path(part.name).chmod(0o644)
            Path(part.name).replace(path)
        except BaseException:
            Path(part.name).unlink(missing_ok=True)
            raise
