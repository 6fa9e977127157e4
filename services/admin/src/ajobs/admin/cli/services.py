"""Replacing this process with a worker or a scheduler.

Services do not import each other, so ``ajc`` starts the command of the service in its own place: signals and the exit
status are those of the service. Secrets are passed through a pipe, because arguments are visible in the process list.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import NoReturn

from ajobs.admin.cli import session
from ajobs.protocol.errors import ConfigurationError


def key_text(key: object) -> str:
    """Return a key in hex."""
    return key.hex() if isinstance(key, bytes) else str(key)


def pipe_with(content: bytes) -> str:
    """Return the name of a file that the next program can read once."""
    reader, writer = os.pipe()
    # The content fits into the buffer of the pipe, so the write does not wait for a reader.
    os.write(writer, content)
    os.close(writer)
    os.set_inheritable(reader, True)  # noqa: FBT003 - the library's own signature
    return f"/dev/fd/{reader}"


def become(module: str, distribution: str, arguments: list[str]) -> NoReturn:
    """Replace this process with a service.

    Raises:
        ConfigurationError: The distribution of the service is not installed.
    """
    if find_spec(module.partition(".main")[0]) is None:
        raise ConfigurationError(f"{distribution} is not installed: pip install {distribution}")
    if session.options().debug:
        arguments.append("--debug")
    sys.stdout.flush()
    environment = {**os.environ, **session.environment()}
    os.execve(sys.executable, [sys.executable, "-m", module, *arguments], environment)  # noqa: S606 - a fixed command
