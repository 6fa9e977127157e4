"""The folder that keeps the store of a development server from one run to the next."""

from __future__ import annotations

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ajobs.protocol.errors import ConfigurationError


@contextmanager
def kept_store(folder: Path | None) -> Generator[Path | None]:
    """Create a folder if it is missing, and lock it while the block runs: two servers would corrupt it.

    Raises:
        ConfigurationError: The folder cannot be written, or another server uses it.
    """
    if folder is None:
        yield None
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as e:
        raise ConfigurationError(f"cannot keep the store in {folder}: {e.strerror}") from e
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            raise ConfigurationError(
                f"the store in {folder} is in use: stop the other stack or use another folder"
            ) from e
        yield folder
