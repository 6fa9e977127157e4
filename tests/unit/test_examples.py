"""Each example is complete and its files are consistent."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from ajobs.worker.routing.loading import load_router
from tests import ROOT

EXAMPLES = ["mail", "thumbnails", "webhooks"]
BASE = {"nats", "setup", "worker", "scheduler", "admin"}
"""The services of compose.yaml, which an example extends."""


def compose_of(name: str) -> dict:
    return msgspec.yaml.decode((ROOT / "examples" / name / "compose.yaml").read_bytes())


def links_in(page: Path) -> list[str]:
    return re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_readme_links_to_every_module_and_has_no_broken_links(name):
    folder = ROOT / "examples" / name
    links = links_in(folder / "README.md")
    assert [link for link in links if not (folder / link).exists()] == []
    modules = {path.name for path in folder.glob("*.py")} - {"__init__.py", "paint.py"}
    assert modules <= set(links)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_copy_works_under_another_name(name, tmp_path):
    shutil.copytree(ROOT / "examples" / name, tmp_path / "myapp")
    program = (
        "from ajobs.worker.routing.loading import load_router; print(*load_router('myapp.tasks:router').task_types)"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout.split() == load_router(f"examples.{name}.tasks:router").task_types


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_containers_run_the_router_on_the_queue_that_the_producer_uses(name):
    services = compose_of(name)["services"]
    environment = services["worker"]["environment"]
    router = load_router(f"examples.{environment['AJ_ROUTER']}")
    assert router.task_types
    queue = load_queue(name)
    assert environment["AJ_QUEUE"] == services["setup"]["environment"]["AJ_QUEUES"] == queue
    readme = (ROOT / "examples" / name / "README.md").read_text()
    assert f"AJ_ROUTER=examples.{name}.tasks:router AJ_WORK_QUEUE={queue}" in readme


def load_queue(name: str) -> str:
    tasks = (ROOT / "examples" / name / "tasks.py").read_text()
    return re.search(r'QUEUE = Queue\(name="(\w+)"', tasks)[1]


@pytest.mark.parametrize("name", EXAMPLES)
def test_containers_of_an_example_have_few_privileges_and_listen_on_loopback(name):
    for service, settings in compose_of(name)["services"].items():
        for port in settings.get("ports", []):
            assert port.startswith("127.0.0.1:")
        if service not in BASE:
            assert settings["read_only"]
            assert settings["cap_drop"] == ["ALL"]
            assert settings["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_third_party_imports_are_listed_as_requirements(name):
    folder = ROOT / "examples" / name
    imported = {
        module
        for path in folder.glob("*.py")
        for module in re.findall(r"^(?:from|import) (\w+)", path.read_text(), re.MULTILINE)
    }
    required = folder / "requirements.txt"
    names = set(re.findall(r"^[\w-]+", required.read_text(), re.MULTILINE)) if required.exists() else set()
    assert {module.lower() for module in imported & {"PIL", "httpx"}} == {"pil" if n == "pillow" else n for n in names}
    if names:
        assert f"COPY *.py {name}/" in (folder / "Dockerfile").read_text()


def test_every_example_is_in_the_list_of_examples():
    listed = links_in(ROOT / "docs" / "examples.md")
    for name in EXAMPLES:
        assert f"../examples/{name}/README.md" in listed
