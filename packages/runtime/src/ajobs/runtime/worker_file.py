"""``asyncjobs.yaml``: a worker without a line of code, which ``ajobs-worker`` runs and ``ajc package`` packs.

The keys are those of the original's handler packages::

    nats: AJC                           # a context of the nats command line
    queue: EMAIL                        # DEFAULT when left out
    name: mailer                        # what the worker is called
    retry: 1m                           # a retry policy
    discard: [complete]                 # states in which tasks are deleted
    task_signatures_optional: true
    tasks:
      - type: email:new                 # each with one of package, remote and command
        package: myapp.mail:send        # a function, or a Router whose handlers get the type as a prefix
      - type: image
        command: ./thumbnail.sh
      - type: audit
        remote: true
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from ajobs.protocol.errors import ConfigurationError

Kind = Literal["package", "remote", "command"]
KINDS: tuple[Kind, ...] = ("package", "remote", "command")


class TaskHandler(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What handles one task type."""

    type: str
    package: str = ""
    version: str = ""
    """Of the package, for those who build containers; workers do not look at it."""
    remote: bool = False
    command: str = ""

    @property
    def kind(self) -> Kind:
        """Which of the three it is.

        Raises:
            ConfigurationError: None is given, or several.
        """
        given: list[Kind] = [kind for kind in KINDS if getattr(self, kind)]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ConfigurationError(f"task type {self.type!r} has {found}: give one of package, remote and command")
        return given[0]


class WorkerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    nats: str = ""
    queue: str = ""
    name: str = ""
    asyncjobs: str = ""
    """The version of the library, for those who build containers; workers do not look at it."""
    retry: str = ""
    discard: tuple[str, ...] = ()
    task_signatures_optional: bool = False
    tasks: tuple[TaskHandler, ...]


def load_config(path: str | Path) -> WorkerConfig:
    """Read a configuration file.

    Raises:
        ConfigurationError: It cannot be read, or something in it is wrong; the text says where.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as e:
        raise ConfigurationError(f"cannot read {path}: {e.strerror}") from e
    try:
        config = msgspec.yaml.decode(content, type=WorkerConfig)
    except (msgspec.MsgspecError, ValueError) as e:
        raise ConfigurationError(f"{path}: {' '.join(str(e).split())}") from e
    if not config.tasks:
        raise ConfigurationError(f"{path}: tasks is empty: name at least one type and what handles it")
    return config
