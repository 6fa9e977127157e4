"""`ajc package docker`: its files are complete, and the container runs."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shlex
import stat
import sys
from pathlib import Path

import pytest

from ajobs.client import Client, Queue
from ajobs.protocol.subjects import remote_handler_subject
from ajobs.testing.processes import program

AJC = "ajobs.admin.cli.main"
TASKS = """
queue: PACKED
name: Mailer 2
retry: 1m
discard: [expired]
tasks:
  - type: email:send
    package: mail:send
  - type: "user:"
    package: people.users:router
  - type: count
    command: ./bin/count.sh
  - type: where
    command: pwd
  - type: audit
    remote: true
"""


async def ajc(*arguments, cwd):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", AJC, *arguments, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    (folder / "people" / "__pycache__").mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "people" / "__init__.py").write_text("")
    (folder / "people" / "__pycache__" / "old.pyc").write_text("")
    (folder / "people" / "users.py").write_text(
        "from ajobs.worker import Router\nrouter = Router()\n"
        "@router.handler('new')\nasync def new(name: str) -> str:\n    return f'new {name}'\n"
    )
    (folder / "mail.py").write_text("def send(to: str) -> str:\n    return f'sent to {to}'\n")
    script = folder / "bin" / "count.sh"
    script.write_text('#!/bin/sh\nwc -c < "$CHORIA_AJ_TASK"\n')
    script.chmod(0o755)
    (folder / "secret.seed").write_text("00" * 32)
    (folder / "asyncjobs.yaml").write_text(TASKS)
    return folder


class Dockerfile:
    """The parts of a Dockerfile that determine the content of a container."""

    def __init__(self, folder: Path):
        text = (folder / "Dockerfile").read_text()
        lines = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).splitlines()
        self.steps = [(name, rest) for name, _, rest in (line.partition(" ") for line in lines if line)]
        self.variables = dict(each.split("=", 1) for each in shlex.split(self.all("ENV")[0]))

    def all(self, name: str) -> list[str]:
        return [rest for step, rest in self.steps if step == name]

    def copied(self) -> list[tuple[str, str]]:
        found = []
        for copy in self.all("COPY"):
            *sources, target = json.loads(copy) if copy.startswith("[") else copy.split()
            found += [(source, target) for source in sources]
        return found


def kept_by(ignore: str) -> set[str]:
    lines = ignore.splitlines()
    assert lines[0] == "*"
    return {line.removeprefix("!") for line in lines if line.startswith("!")}


async def test_a_container_has_handlers_of_each_kind_and_runs_them(server, project, tmp_path):
    out = tmp_path / "out"
    status, output, errors = await ajc("package", "docker", "--output", str(out), cwd=project)
    assert (status, errors) == (0, "")
    assert "docker build --tag mailer-2" in output
    assert "run the command pwd" in output
    dockerfile = Dockerfile(out)
    # Whatever is copied is there, and the build may see it; nothing else is.
    sources = {source.rstrip("/") for source, _ in dockerfile.copied()}
    assert sources == {"wheels", "ajobs-requirements.txt", "asyncjobs.yaml", "mail.py", "people", "bin/count.sh"}
    assert all((out / source).exists() for source in sources)
    assert kept_by((out / ".dockerignore").read_text()) == sources
    written = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert written == {
        "Dockerfile", ".dockerignore", "ajobs-requirements.txt", "wheels/README", "asyncjobs.yaml", "mail.py",
        "people/__init__.py", "people/users.py", "bin/count.sh",
    }  # fmt: skip
    assert (out / "bin" / "count.sh").stat().st_mode & stat.S_IXUSR
    # The requirements can be installed: pip finds them in the environment of these tests.
    pip = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--find-links", "wheels", "--quiet",
        "--requirement", "ajobs-requirements.txt", cwd=out,
    )  # fmt: skip
    assert await pip.wait() == 0
    user = int(dockerfile.all("USER")[-1].split(":")[0])
    assert user > 0
    await run_as_in_the_container(server, dockerfile, tmp_path)


async def run_as_in_the_container(server, dockerfile, tmp_path):
    """Run the command of the container on a copy of its files, with its variables, and a task of each kind."""
    home = tmp_path / "container"
    home.mkdir()
    for source, target in dockerfile.copied():
        if target.startswith("/app/"):
            path = home / target.removeprefix("/app/")
            path.parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "out" / source).rename(path)
    variables = {name: value.replace("/app", str(home)) for name, value in dockerfile.variables.items()}
    assert json.loads(dockerfile.all("CMD")[0]) == ["ajobs-worker"]
    async with (
        Client.connect(server.url, queue=Queue(name="PACKED")) as client,
        program("ajobs.worker.process.main", cwd=home, NATS_URL=server.url, **variables) as worker,
    ):

        async def audit(message):
            await message.respond(b'"audited"')

        await client.storage.connection.subscribe(remote_handler_subject("audit"), audit)
        line = await worker.wait_log("worker ready")
        assert "queue PACKED, 10 slots, task types audit, count, email:send, user:new, where" in line
        results = {}
        for task_type, payload in (
            ("email:send", "ann"),
            ("user:new", "bob"),
            ("count", None),
            ("where", None),
            ("audit", None),
        ):
            task = await client.enqueue(task_type, payload)
            results[task_type] = await client.result(task.id, timeout=60)
        assert results["email:send"] == "sent to ann"
        assert results["user:new"] == "new bob"
        assert int(results["count"]) > 100
        assert results["where"].strip() == str(home)
        assert base64.b64decode(results["audit"]) == b'"audited"'


async def test_in_the_folder_of_the_file_nothing_is_copied_and_nothing_overwritten(project):
    (project / "requirements.txt").write_text("httpx>=0.27\n")
    before = (project / "mail.py").read_text()
    status, output, _ = await ajc("pkg", "docker", "--file", "asyncjobs.yaml", cwd=project)
    assert status == 0
    assert output.startswith("wrote Dockerfile, .dockerignore, ajobs-requirements.txt, wheels/README to ./")
    assert ("requirements.txt", "/tmp/") in Dockerfile(project).copied()
    assert "--requirement /tmp/requirements.txt" in Dockerfile(project).all("RUN")[0]
    assert "requirements.txt" in kept_by((project / ".dockerignore").read_text())
    assert (project / "mail.py").read_text() == before
    (project / "Dockerfile").write_text("mine")
    status, _, errors = await ajc("package", "docker", cwd=project)
    assert status == 2
    assert errors.startswith("ajc: . already contains Dockerfile, .dockerignore, ajobs-requirements.txt, wheels/README")
    assert (project / "Dockerfile").read_text() == "mine"
    assert (await ajc("package", "docker", "--force", "--base", "python:3.13-slim", cwd=project))[0] == 0
    assert Dockerfile(project).all("ARG") == ["BASE=python:3.13-slim"]


async def test_packages_with_a_version_are_installed_and_the_others_have_to_be_there(project):
    (project / "asyncjobs.yaml").write_text(
        "asyncjobs: v1.2.3\nnats: AJC\ntasks:\n"
        "- {type: a, package: 'shop.orders:place', version: v1.0.0}\n"
        "- {type: b, package: 'shop.orders:cancel', version: 1.0.0}\n"
        "- {type: c, package: 'bills:send', version: '>=2,<3'}\n"
        "- {type: d, package: 'yaml:load', version: 'pyyaml==6.0'}\n"
        "- {type: e, package: 'tools:run', version: 'tools @ git+https://example.com/tools.git@v1'}\n"
    )
    assert (await ajc("package", "docker", cwd=project))[0] == 0
    assert (project / "ajobs-requirements.txt").read_text().splitlines() == [
        "ajobs-worker==1.2.3", "shop==1.0.0", "bills>=2,<3", "pyyaml==6.0",
        "tools @ git+https://example.com/tools.git@v1",
    ]  # fmt: skip
    assert '"AJC"' in (project / "Dockerfile").read_text()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("tasks: []", "tasks is empty"),
        ("tasks: [{type: t}]", "task type 't' has no handler"),
        ("tasks: [{type: t, package: 'missing:f'}]", "no missing.py, no missing/"),
        ("tasks: [{type: t, package: '../x:f'}]", "use package.module:name"),
        ("tasks: [{type: t, package: 'mail:f', version: '--index-url=x'}]", "version '--index-url=x'"),
        ("tasks: [{type: t, command: ./nothing.sh}]", "not found: create"),
        ("tasks: [{type: t, command: ./mail.py}]", "is not executable: run chmod +x"),
        ("tasks: [{type: t, command: ../x.sh}]", "is not below the folder"),
        ("tasks: [{type: t, command: /bin/sh}]", "is not below the folder"),
        ("tasks: [{type: t, remote: true}, {type: t, remote: true}]", "task type 't' has two handlers"),
        ("tasks: [{type: a.b, remote: true}]", "invalid task type 'a.b'"),
        ("queue: 'a b'\ntasks: [{type: t, remote: true}]", "invalid queue name 'a b'"),
        ("retry: 9m\ntasks: [{type: t, remote: true}]", "9m"),
        ("discard: [active]\ntasks: [{type: t, remote: true}]", "active"),
        ("asyncjobs: some\ntasks: [{type: t, remote: true}]", "invalid asyncjobs 'some'"),
    ],
)
async def test_an_invalid_configuration_is_refused_in_one_line(project, text, error):
    (project / "asyncjobs.yaml").write_text(text)
    status, output, errors = await ajc("package", "docker", cwd=project)
    assert status in {1, 2}
    assert output == ""
    assert errors.startswith("ajc: ")
    assert error in errors
    assert errors.count("\n") == 1
    assert not (project / "Dockerfile").exists()


async def test_a_missing_file_is_named(project):
    status, _, errors = await ajc("package", "docker", "--file", "other.yaml", cwd=project)
    assert status == 2
    assert errors.startswith("ajc: cannot read other.yaml")
