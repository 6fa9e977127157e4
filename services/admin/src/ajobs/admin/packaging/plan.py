"""The content of a container, decided by the configuration and the files next to it before anything is written."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import msgspec

from ajobs.protocol.errors import ConfigurationError, DuplicateHandlerError
from ajobs.protocol.names import check_name
from ajobs.protocol.retry import retry_policy
from ajobs.protocol.states import check_discardable, parse_state
from ajobs.protocol.subjects import DEFAULT_QUEUE
from ajobs.runtime.worker_file import TaskHandler, WorkerConfig

CONFIG = "asyncjobs.yaml"
OWN_REQUIREMENTS = "requirements.txt"
"""Requirements of local handlers, next to the configuration; they are installed too."""
LATEST = "latest"

_is_number = re.compile(r"v?\d[\w.+!-]*").fullmatch
_is_specifier = re.compile(r"(===?|~=|!=|[<>]=?)[\w.,<>=!~* -]+").fullmatch
_is_requirement = re.compile(r"[A-Za-z0-9][^\r\n]*").fullmatch


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the container."""

    config: WorkerConfig
    source: Path
    """The file of the configuration."""
    requirements: tuple[str, ...]
    """Requirements for pip, the worker first."""
    copied: tuple[str, ...]
    """Files and folders next to the configuration that are copied, as relative paths."""
    expected: tuple[str, ...]
    """Commands that the base image must have."""
    base: str
    """The default base image."""

    @property
    def folder(self) -> Path:
        """The folder of the configuration."""
        return self.source.parent

    @property
    def queue(self) -> str:
        """The default queue."""
        return self.config.queue or DEFAULT_QUEUE

    @property
    def has_own_requirements(self) -> bool:
        """Whether local handlers have a requirements file."""
        return OWN_REQUIREMENTS in self.copied


def make_plan(config: WorkerConfig, source: Path, *, version: str, base: str) -> Plan:
    """Decide what goes into the container.

    Args:
        config: The configuration.
        source: The file of the configuration.
        version: The version of the worker if the file does not set one.
        base: The base image.

    Raises:
        ConfigurationError: A handler is missing, or a version or package is not valid.
        InvalidArgumentError: A name, state or retry policy is not valid.
        DuplicateHandlerError: A task type has two handlers.
    """
    _check(config)
    folder = source.parent
    installed: list[str] = []
    copied: list[str] = []
    expected: list[str] = []
    for task in config.tasks:
        if task.kind == "package" and task.version:
            installed.append(_requirement(task))
        elif task.kind == "package":
            copied.append(_module(task, folder))
        elif task.kind == "command" and "/" in task.command:
            copied.append(_command(task, folder))
        elif task.kind == "command":
            expected.append(task.command)
    if (folder / OWN_REQUIREMENTS).is_file():
        copied.append(OWN_REQUIREMENTS)
    return Plan(
        config=config,
        source=source,
        requirements=tuple(_unique([_worker(config.asyncjobs or version), *installed])),
        copied=tuple(_unique(copied)),
        expected=tuple(_unique(expected)),
        base=base,
    )


def _check(config: WorkerConfig) -> None:
    """Refuse settings that the worker would refuse in the container."""
    check_name("queue name", config.queue or DEFAULT_QUEUE)
    retry_policy(config.retry or "default")
    check_discardable(frozenset(map(parse_state, config.discard)))
    types: set[str] = set()
    for task in config.tasks:
        if task.type:
            check_name("task type", task.type)
        if task.type in types:
            raise DuplicateHandlerError(f"task type {task.type!r} has two handlers: remove one")
        types.add(task.type)


def _worker(version: str) -> str:
    if version == LATEST:
        return "ajobs-worker"
    if _is_number(version) is None:
        raise ConfigurationError(f"invalid asyncjobs {version!r}: use a version such as 1.2.3, or latest")
    return f"ajobs-worker=={version.removeprefix('v')}"


def _requirement(task: TaskHandler) -> str:
    """Return the requirement for pip. A version alone is that of the distribution with the name of the module."""
    version, name = task.version.strip(), _top(task)
    if _is_number(version):
        return f"{name}=={version.removeprefix('v')}"
    if _is_specifier(version):
        return f"{name}{version}"
    if _is_requirement(version):
        return version
    raise ConfigurationError(
        f"invalid version {version!r} of package {task.package!r}: use a version, '>=1,<2', or 'NAME==1.2.3' if the "
        "distribution is not named like its module"
    )


def _top(task: TaskHandler) -> str:
    module = task.package.partition(":")[0]
    top = module.partition(".")[0]
    if not all(part.isidentifier() for part in module.split(".")):
        raise ConfigurationError(f"invalid package {task.package!r}: use package.module:name")
    return top


def _module(task: TaskHandler, folder: Path) -> str:
    top = _top(task)
    for name in (f"{top}.py", top):
        if (folder / name).exists():
            return name
    raise ConfigurationError(
        f"package {task.package!r} of task type {task.type!r} not found next to {CONFIG} (no {top}.py, no {top}/), "
        "and it has no version: put it there, or set the version to install"
    )


def _command(task: TaskHandler, folder: Path) -> str:
    path = PurePosixPath(task.command)
    where = f"command {task.command!r} of task type {task.type!r}"
    if path.is_absolute() or ".." in path.parts:
        raise ConfigurationError(
            f"{where} is not below the folder of {CONFIG}: put it there, or use a command on the PATH"
        )
    file = folder / path
    if not file.is_file():
        raise ConfigurationError(f"{where} not found: create {file}")
    if not os.access(file, os.X_OK):
        raise ConfigurationError(f"{where} is not executable: run chmod +x {file}")
    return str(path)


def _unique(names: Iterable[str]) -> Iterator[str]:
    return iter(dict.fromkeys(names))
