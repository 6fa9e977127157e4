"""Write the pinned requirements of the image, deploy/image/*.txt: the parts of constraints.txt to run and to build.

Dependencies are resolved from the metadata of the packages installed in .venv, so no package index is queried. The
result does not depend on the platform: a package that only some platforms need keeps its marker from constraints.txt.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

ROOT = Path(__file__).parents[1]
MEMBERS = ("ajobs-worker", "ajobs-scheduler", "ajobs-admin")
BUILD = ("hatchling", "setuptools")
FILES = {"run.txt": MEMBERS, "build.txt": BUILD}


def main() -> int:
    for name, text in expected_files().items():
        (ROOT / "deploy/image" / name).write_text(text, encoding="utf-8")
    return 0


def expected_files() -> dict[str, str]:
    """Return the expected content of each file, by its name."""
    pins = pins_of((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    return {file: "".join(pins[name] for name in sorted(closure(names) & pins.keys())) for file, names in FILES.items()}


def pins_of(text: str) -> dict[str, str]:
    """Return the lines of each package, by its normalized name."""
    blocks = re.findall(r"^[^\s#].*\n(?:[ \t]+.*\n)*", text, re.MULTILINE)
    return {normal(re.split(r"[=\[ ]", block, maxsplit=1)[0]): block for block in blocks}


def closure(names: Iterable[str]) -> set[str]:
    """Return the normalized names of the packages and of all their dependencies."""
    seen: set[tuple[str, str]] = set()
    waiting = {(normal(name), "") for name in names}
    while waiting:
        seen |= waiting
        waiting = {dependency for name, extra in waiting for dependency in dependencies(name, extra)} - seen
    return {name for name, _ in seen}


def dependencies(name: str, extra: str) -> set[tuple[str, str]]:
    """Return the direct dependencies of a package, or of one of its extras, as pairs of name and extra."""
    try:
        lines = requires(name) or []
    except PackageNotFoundError:
        return set()  # needed on another platform only
    pairs: set[tuple[str, str]] = set()
    for line in lines:
        requirement, _, condition = line.partition(";")
        of_extra = re.search(r"extra == ['\"]([^'\"]+)['\"]", condition)
        if (of_extra[1] if of_extra else "") != extra:
            continue
        match = re.match(r"([\w.-]+)\s*(?:\[([^\]]*)\])?", requirement)
        assert match is not None, line
        pairs |= {(normal(match[1]), each.strip()) for each in ["", *(match[2] or "").split(",")]}
    return pairs


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main())
