"""Read ``asyncjobs.yaml``, which describes a worker without code: ``ajobs-worker`` runs it, ``ajc package`` packs it.

The keys are those of the handler packages of Choria Async Jobs::

    nats: AJC                           # a context of the nats command line
    queue: EMAIL                        # default: DEFAULT
    name: mailer                        # the name of the worker
    retry: 1m                           # name of a retry policy
    discard: [complete]                 # delete tasks that reach these states
    task_signatures_optional: true
    tasks:
      - type: email:new                 # each with exactly one of package, remote and command
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
    """The handler of one task type."""

    type: str
    package: str = ""
    version: str = ""
    """The version of the package, for `ajc package`. Workers ignore it."""
    remote: bool = False
    command: str = ""

    @property
    def kind(self) -> Kind:
        """The kind of handler: the one key of `KINDS` that is set.

        Raises:
            ConfigurationError: None of them is set, or several.
        """
        given: list[Kind] = [kind for kind in KINDS if getattr(self, kind)]
        if len(given) != 1:
            found = " and ".join(given) or "no handler"
            raise ConfigurationError(
                f"task type {self.type!r} has {found}: set exactly one of package, remote and command"
            )
        return given[0]


class WorkerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of the file."""

    nats: str = ""
    queue: str = ""
    name: str = ""
    asyncjobs: str = ""
    """The version of ajobs, for `ajc package`. Workers ignore it."""
    retry: str = ""
    discard: tuple[str, ...] = ()
    task_signatures_optional: bool = False
    tasks: tuple[TaskHandler, ...]


def load_config(path: str | Path) -> WorkerConfig:
    """Read a configuration file.

    Raises:
        ConfigurationError: The file cannot be read, or is not valid; the text says where.
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
        raise ConfigurationError(f"{path}: tasks is empty: add at least one task type with its handler")
    return config
