"""The exports of each package are the names that docs/stability.md promises."""

from __future__ import annotations

import importlib
import re

import pytest

from tests import ROOT

PAGE = (ROOT / "docs" / "stability.md").read_text(encoding="utf-8")
PUBLIC = ("ajobs.protocol", "ajobs.client", "ajobs.worker", "ajobs.scheduler", "ajobs.testing")
INTERNAL = ("ajobs.admin", "ajobs.runtime")


def documented(package: str) -> list[str]:
    _, found, rest = PAGE.partition(f"## Names in `{package}`\n")
    assert found, f"docs/stability.md has no section for {package}"
    return re.findall(r"^- `(\w+)`", rest.partition("\n## ")[0], re.MULTILINE)


@pytest.mark.parametrize("package", PUBLIC)
def test_a_package_exports_the_documented_names(package):
    module = importlib.import_module(package)
    exported = list(getattr(module, "__all__", ()))
    names = documented(package)
    assert sorted(names) == sorted(exported)
    assert len(set(names)) == len(names)
    assert all(hasattr(module, name) for name in exported)


@pytest.mark.parametrize("package", INTERNAL)
def test_an_internal_package_exports_no_names(package):
    assert not getattr(importlib.import_module(package), "__all__", ())
