"""The folder that producers and workers share."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def shared_folder() -> Path:
    """Return where the folder is on this host."""
    return Path(os.environ.get("THUMBNAILS_FOLDER", "thumbnails")).resolve()


def path_of(name: str) -> Path:
    """Return the path of something in the shared folder.

    Raises:
        ValueError: The name leads out of it, as ``../x`` and ``/x`` do.
    """
    folder = shared_folder()
    path = (folder / name).resolve()
    if not path.is_relative_to(folder):
        raise ValueError(f"{name} is not in the shared folder")
    return path


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that whoever reads it sees all of it or what was there before, whenever this process dies.

    A process that is killed leaves a file ``.*.part`` behind, which nobody looks at.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as part:
        try:
            part.write(data)
            part.flush()
            os.fsync(part.fileno())  # a task must not be complete before its file would survive a loss of power
            Path(part.name).chmod(0o644)
            Path(part.name).replace(path)
        except BaseException:
            Path(part.name).unlink(missing_ok=True)
            raise
