"""Write what the image installs, deploy/image/*.txt: the part of constraints.txt that runs, and the part that builds.

The distributions' dependencies are followed through what is installed in .venv, so nothing is asked of a registry, and
whatever the platform: a package that only some need keeps its condition, as constraints.txt has it.
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
    for name, text in wanted().items():
        (ROOT / "deploy/image" / name).write_text(text, encoding="utf-8")
    return 0


def wanted() -> dict[str, str]:
    """Return what each file should hold."""
    pins = pins_of((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    return {file: "".join(pins[name] for name in sorted(closure(names) & pins.keys())) for file, names in FILES.items()}


def pins_of(text: str) -> dict[str, str]:
    """Return the lines of each package, by its normal name."""
    blocks = re.findall(r"^[^\s#].*\n(?:[ \t]+.*\n)*", text, re.MULTILINE)
    return {normal(re.split(r"[=\[ ]", block, maxsplit=1)[0]): block for block in blocks}


def closure(names: Iterable[str]) -> set[str]:
    """Return the normal names of packages and of all that they need."""
    found: set[tuple[str, str]] = set()
    waiting = {(normal(name), "") for name in names}
    while waiting:
        found |= waiting
        waiting = {needed for name, extra in waiting for needed in needs(name, extra)} - found
    return {name for name, _ in found}


def needs(name: str, extra: str) -> set[tuple[str, str]]:
    """Return what a package, or one of its extras, needs: names, each with no extra or one."""
    try:
        lines = requires(name) or []
    except PackageNotFoundError:
        return set()  # one for another platform
    found: set[tuple[str, str]] = set()
    for line in lines:
        needed, _, condition = line.partition(";")
        of_extra = re.search(r"extra == ['\"]([^'\"]+)['\"]", condition)
        if (of_extra[1] if of_extra else "") != extra:
            continue
        match = re.match(r"([\w.-]+)\s*(?:\[([^\]]*)\])?", needed)
        assert match is not None, line
        found |= {(normal(match[1]), each.strip()) for each in ["", *(match[2] or "").split(",")]}
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main())
