"""Writes the files, and overwrites none of them without ``force``."""

from __future__ import annotations

import shutil
from pathlib import Path

from ajobs.admin.packaging.dockerfile import (
    REQUIREMENTS,
    WHEELS,
    WHEELS_NOTE,
    dockerfile,
    dockerignore,
    requirements,
)
from ajobs.admin.packaging.plan import CONFIG, Plan
from ajobs.protocol.errors import ConfigurationError

_NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.pyc", ".git", ".venv")


def write(plan: Plan, folder: Path, *, force: bool) -> list[str]:
    """Write all files into a folder, and return their names.

    Raises:
        ConfigurationError: A file exists and ``force`` is not set, or the folder cannot be written.
    """
    texts = {
        "Dockerfile": dockerfile(plan),
        ".dockerignore": dockerignore(plan),
        REQUIREMENTS: requirements(plan),
        f"{WHEELS}/README": WHEELS_NOTE,
    }
    copies = {CONFIG: plan.source} | {name: plan.folder / name for name in plan.copied}
    # A file that is its own target needs no copy.
    copies = {name: source for name, source in copies.items() if source.resolve() != (folder / name).resolve()}
    names = [*texts, *copies]
    in_the_way = [name for name in names if (folder / name).exists()]
    if in_the_way and not force:
        raise ConfigurationError(
            f"{folder} already contains {', '.join(in_the_way)}: use --force to overwrite, or another --output"
        )
    try:
        for name, text in texts.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        for name, source in copies.items():
            _copy(source, folder / name)
    except OSError as e:
        raise ConfigurationError(f"cannot write to {folder}: {e.strerror or e}") from e
    return names


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=_NOT_COPIED, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)
