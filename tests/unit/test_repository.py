"""The repository keeps its own rules."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

import pytest
from cyclopts import App

from ajobs.admin.cli.main import app
from scripts import pin_image
from tests import ROOT

MEMBERS = [
    "packages/protocol",
    "packages/client",
    "packages/runtime",
    "packages/testing",
    "services/worker",
    "services/scheduler",
    "services/admin",
]


def test_each_pinned_version_has_a_hash_and_no_url():
    text = (ROOT / "constraints.txt").read_text()
    assert "://" not in text
    blocks = re.split(r"\n(?=\S)", text.strip())
    assert len(blocks) > 20
    for block in blocks:
        assert re.match(r"[a-z0-9.-]+==\S+", block), block
        assert "--hash=sha256:" in block, block


def test_each_dependency_is_pinned():
    pinned = set(re.findall(r"^([a-z0-9.-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    for member in MEMBERS:
        project = tomllib.loads((ROOT / member / "pyproject.toml").read_text())["project"]
        for requirement in project["dependencies"]:
            name = re.split(r"[<>=;\s]", requirement)[0]
            assert name in pinned or name.startswith("ajobs-"), name


@pytest.mark.parametrize("member", MEMBERS)
def test_a_package_is_typed_and_leaves_the_namespace_open(member):
    namespace = ROOT / member / "src" / "ajobs"
    assert not (namespace / "__init__.py").exists()
    (package,) = (folder for folder in namespace.iterdir() if folder.is_dir() and folder.name != "__pycache__")
    assert (package / "py.typed").exists()
    assert (ROOT / member / "README.md").exists()


def test_no_module_is_past_500_lines():
    long = {
        str(path): lines
        for folder in ("packages", "services", "examples", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
        if "tests" not in path.parts and (lines := path.read_text().count("\n")) > 500
    }
    assert long == {}


def commands(group: App, *words: str) -> Iterator[tuple[App, str, tuple[str, ...]]]:
    """Yield each command of a group with its name and the words before it."""
    for name in group:
        if name.startswith("-") or group[name].name[0] != name:
            continue  # an option, or an alias
        if group[name].default_command is None:
            yield from commands(group[name], *words, name)
        else:
            yield group[name], name, words


def test_each_command_of_ajc_is_documented():
    pages = "\n".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    shown = {match.group(1) for match in re.finditer(r"\$ .*?\bajc ([a-z -]+)", pages)}
    words_of = {"tasks": "task", "queues": "queue", "schedules": "schedule", "workers": "worker"}
    missing = []
    for _, name, words in commands(app):
        spelled = " ".join([words_of.get(word, word) for word in words] + [name])
        # Two groups have the commands of schedules.
        others = {spelled.replace("schedule ", "task cron "), spelled.replace("task cron ", "schedule ")}
        if not any(line.startswith(each) for line in shown for each in {spelled, *others}):
            missing.append(spelled)
    assert missing == []


@pytest.mark.parametrize("name", pin_image.FILES)
def test_the_image_installs_the_dependencies_of_its_services_at_the_pinned_versions(name: str):
    current = (ROOT / "deploy/image" / name).read_text()
    assert current == pin_image.expected_files()[name], (
        f"deploy/image/{name} differs from constraints.txt: run `make image-pins`"
    )
