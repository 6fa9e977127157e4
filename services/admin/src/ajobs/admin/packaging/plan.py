"""What goes into a container: decided by the configuration and what lies beside it, before anything is written."""

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
"""Beside the configuration: what local handlers need; it is installed too."""
LATEST = "latest"

_is_number = re.compile(r"v?\d[\w.+!-]*").fullmatch
_is_specifier = re.compile(r"(===?|~=|!=|[<>]=?)[\w.,<>=!~* -]+").fullmatch
_is_requirement = re.compile(r"[A-Za-z0-9][^\r\n]*").fullmatch


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the container has."""

    config: WorkerConfig
    source: Path
    """The configuration's file."""
    requirements: tuple[str, ...]
    """What pip installs, the worker first."""
    copied: tuple[str, ...]
    """Files and folders beside the configuration that the container has too, as relative paths."""
    expected: tuple[str, ...]
    """Commands that have to be in the image already."""
    base: str
    """The image that it is built on, unless the build says otherwise."""

    @property
    def folder(self) -> Path:
        """Where the configuration is."""
        return self.source.parent

    @property
    def queue(self) -> str:
        """The queue that it works on, unless told otherwise."""
        return self.config.queue or DEFAULT_QUEUE

    @property
    def has_own_requirements(self) -> bool:
        """Whether there is a file of what local handlers need."""
        return OWN_REQUIREMENTS in self.copied


def make_plan(config: WorkerConfig, source: Path, *, version: str, base: str) -> Plan:
    """Decide what goes into the container.

    Args:
        config: What the file says.
        source: The file.
        version: The version of the worker, if the file names none.
        base: The image to build on.

    Raises:
        ConfigurationError: Something that it names is not there, or cannot be told what it is.
        InvalidArgumentError: A name, state or retry policy is none.
        DuplicateHandlerError: Two handlers are for one type.
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
    """Refuse now what the worker would refuse in its container."""
    check_name("queue name", config.queue or DEFAULT_QUEUE)
    retry_policy(config.retry or "default")
    check_discardable(frozenset(map(parse_state, config.discard)))
    types: set[str] = set()
    for task in config.tasks:
        if task.type:
            check_name("task type", task.type)
        if task.type in types:
            raise DuplicateHandlerError(f"there are two handlers for task type {task.type!r}: remove one")
        types.add(task.type)


def _worker(version: str) -> str:
    if version == LATEST:
        return "ajobs-worker"
    if _is_number(version) is None:
        raise ConfigurationError(f"asyncjobs is {version!r}: give a version such as 1.2.3, or latest")
    return f"ajobs-worker=={version.removeprefix('v')}"


def _requirement(task: TaskHandler) -> str:
    """Return what pip is told: a version alone is one of the distribution that is called as the module is."""
    version, name = task.version.strip(), _top(task)
    if _is_number(version):
        return f"{name}=={version.removeprefix('v')}"
    if _is_specifier(version):
        return f"{name}{version}"
    if _is_requirement(version):
        return version
    raise ConfigurationError(
        f"version {version!r} of package {task.package!r} is none: give a version, '>=1,<2', or 'NAME==1.2.3' when the "
        "distribution has another name than its module"
    )


def _top(task: TaskHandler) -> str:
    module = task.package.partition(":")[0]
    top = module.partition(".")[0]
    if not all(part.isidentifier() for part in module.split(".")):
        raise ConfigurationError(f"package {task.package!r} names no module: give it as package.module:name")
    return top


def _module(task: TaskHandler, folder: Path) -> str:
    top = _top(task)
    for name in (f"{top}.py", top):
        if (folder / name).exists():
            return name
    raise ConfigurationError(
        f"package {task.package!r} of task type {task.type!r} is not beside {CONFIG} (no {top}.py, no {top}/), and "
        "has no version: put it there, or give the version to install"
    )


def _command(task: TaskHandler, folder: Path) -> str:
    path = PurePosixPath(task.command)
    where = f"command {task.command!r} of task type {task.type!r}"
    if path.is_absolute() or ".." in path.parts:
        raise ConfigurationError(f"{where} is not below the folder of {CONFIG}: put it there, or name one on the PATH")
    file = folder / path
    if not file.is_file():
        raise ConfigurationError(f"{where} does not exist: there is no file {file}")
    if not os.access(file, os.X_OK):
        raise ConfigurationError(f"{where} cannot be executed: chmod +x {file}")
    return str(path)


def _unique(names: Iterable[str]) -> Iterator[str]:
    return iter(dict.fromkeys(names))
