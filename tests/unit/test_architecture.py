"""The import rules that hold inside and between members, beyond those of the import contracts."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT

SOURCES = sorted((*ROOT.glob("packages/*/src/ajobs/**/*.py"), *ROOT.glob("services/*/src/ajobs/**/*.py")))


def module_of(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[parts.index("src") + 1 :]).removesuffix(".__init__")


MODULES = {module_of(path): path for path in SOURCES}


def imports_of(path: Path) -> Iterator[str]:
    """Yield the modules of ours that a module names in its imports, `TYPE_CHECKING` and functions included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


IMPORTS = {
    module: {name for name in imports_of(path) if name in MODULES and name != module}
    for module, path in MODULES.items()
}


def test_no_two_modules_import_each_other():
    pairs = {tuple(sorted((one, other))) for one, names in IMPORTS.items() for other in names if one in IMPORTS[other]}
    assert pairs == set()


def test_nothing_above_the_storage_reaches_into_its_connection():
    reach = re.compile(r"\bstorage\.(connection|requests|jetstream)\b(?!\.\w+ import)")
    found = [
        f"{module}:{number}"
        for module, path in MODULES.items()
        if not module.startswith(("ajobs.client.storage", "ajobs.client.nats"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if reach.search(line)
        and "import" not in line
        and not (module == "ajobs.client.client" and "self.connection =" in line)
    ]
    assert found == []


@pytest.mark.parametrize("pattern", [r"\berr_code\b", r"\"(STREAM|CONSUMER)\.[A-Z]+", r"\$JS\.API"])
def test_jetstreams_codes_and_calls_are_known_to_the_storage_alone(pattern: str):
    allowed = "ajobs.client.storage" if "STREAM" in pattern else "ajobs.client.storage.jetstream"
    also = {"ajobs.protocol.subjects", "ajobs.client.nats.addresses"} if "JS" in pattern else set()
    found = [
        module
        for module, path in MODULES.items()
        if not module.startswith(allowed) and module not in also
        and any(re.search(pattern, line) for line in path.read_text(encoding="utf-8").splitlines())
    ]  # fmt: skip
    assert found == []
