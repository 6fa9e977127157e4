"""The programs of the README run in a new environment with the wheels installed."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import subprocess
import sys
import tomllib
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

from ajobs.testing.processes import WorkerProcess
from tests import ROOT
from tests.integration.test_docs import blocks

MEMBERS = sorted(path.parent for path in ROOT.glob("*/*/pyproject.toml"))
README = ROOT / "README.md"
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_"))}


def run(*command: str | Path, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Build every member without the network."""
    folder = tmp_path_factory.mktemp("wheels")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", folder, *MEMBERS, cwd=folder)
    return sorted(folder.glob("*.whl"))


def metadata(wheel: Path):
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def test_all_members_have_one_version_and_pin_each_other_to_it(wheels: list[Path]):
    assert len(wheels) == len(MEMBERS)
    documents = [metadata(wheel) for wheel in wheels]
    (version,) = {document["Version"] for document in documents}
    for document in documents:
        for requirement in document.get_all("Requires-Dist"):
            if re.match(r"ajobs\b", requirement):
                assert f"=={version}" in requirement.partition(";")[0], requirement


def test_each_member_has_complete_metadata(wheels: list[Path]):
    for document in map(metadata, wheels):
        assert document["Summary"]
        assert document["License-Expression"] == "Apache-2.0"
        assert document["Requires-Python"] == ">=3.11"
        assert "Typing :: Typed" in document.get_all("Classifier")
        assert document.get_all("Project-URL")
        assert document.get_payload().strip(), "the README is the long description"


def test_the_meta_distribution_offers_every_member_as_an_extra():
    project = tomllib.loads((ROOT / "packages/ajobs/pyproject.toml").read_text())["project"]
    offered = {name for requirements in project["optional-dependencies"].values() for name in requirements}
    needed = {*offered, *project["dependencies"]}
    names = {tomllib.loads((member / "pyproject.toml").read_text())["project"]["name"] for member in MEMBERS}
    # The client brings the protocol, and the services bring the runtime.
    assert {re.split(r"[\[=]", each)[0] for each in needed} == names - {"ajobs-protocol", "ajobs-runtime"}


@pytest.mark.timeout(600)
async def test_the_programs_of_the_readme_run_with_the_wheels_only(server, tmp_path: Path, wheels: list[Path]):
    python = await asyncio.to_thread(install, tmp_path / "venv", wheels)
    project = tmp_path / "project"
    for kind, title, text in blocks(README):
        if kind == "file":
            (project / title).parent.mkdir(parents=True, exist_ok=True)
            (project / title).write_text(text)
    (command,) = (text for kind, _, text in blocks(README) if kind == "run")
    (expected,) = (text for kind, title, text in blocks(README) if kind == "prints" and title == "producer.py")
    environment = ENVIRONMENT | {"NATS_URL": server.url, "AJ_RETRY_POLICY": "1m"}
    arguments = shlex.split(command.removeprefix("$ "))
    process = await asyncio.create_subprocess_exec(
        python.with_name(arguments[0]), *arguments[1:], cwd=project, env=environment, stderr=asyncio.subprocess.PIPE
    )
    worker = WorkerProcess(process)
    try:
        await worker.wait_log("worker ready")
        producer = await asyncio.create_subprocess_exec(
            python, "producer.py", cwd=project, env=environment, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await producer.communicate()
    finally:
        await worker.kill()
    assert (producer.returncode, output.decode()) == (0, expected)


def install(folder: Path, wheels: list[Path]) -> Path:
    """Install the wheels and the dependencies of ``ajobs[all]`` into a new environment, and return its Python.

    Our own distributions are installed first without an index, so that the index serves third-party packages only.
    """
    folder.mkdir()
    pinned = re.findall(r"^[a-z0-9.-]+==\S+", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    (folder / "constraints.txt").write_text("\n".join(pinned) + "\n")
    run(sys.executable, "-m", "venv", folder / "env", cwd=folder)
    python = folder / "env" / "bin" / "python"
    pip = (python, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "install", "--quiet", "--no-index", "--no-deps", *wheels, cwd=folder)
    run(*pip, "install", "--quiet", "--constraint", "constraints.txt", "ajobs[all]", cwd=folder)
    run(*pip, "check", cwd=folder)
    return python
