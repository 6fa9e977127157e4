"""The stack as in a fresh clone of the repository: `make secrets`, `docker compose up`."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any

from ajobs.client import Client
from ajobs.testing.clusters import free_ports
from tests import ROOT
from tests.compose.docker import CommandError, Docker, run, say

IMAGE = "ajobs:test"
UNEXPECTED = ("Traceback", "Violation", "may not", "nowait")


class Stack:
    """A Compose project in a copy of the repository."""

    def __init__(self, docker: Docker, folder: Path, files: tuple[str, ...]) -> None:
        self._docker = docker
        self.folder = folder
        self.project = f"ajobs-test-{os.getpid()}"
        self._files = [part for file in files for part in ("--file", file)]
        nats, second, third, admin, prometheus, grafana = free_ports(6)
        self.ports = {
            "NATS_PORT": str(nats), "NATS_PORT_2": str(second), "NATS_PORT_3": str(third), "ADMIN_PORT": str(admin),
            "PROMETHEUS_PORT": str(prometheus), "GRAFANA_PORT": str(grafana),
        }  # fmt: skip

    @classmethod
    @contextmanager
    def fresh(cls, docker: Docker, *files: str) -> Generator[Stack]:
        """Copy the files that are tracked or not ignored, create the secrets, and take everything down at the end."""
        with tempfile.TemporaryDirectory(prefix="ajobs-stack-") as name:
            folder = Path(name)
            for file in run(
                "git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"
            ).splitlines():
                if (ROOT / file).is_file():
                    (folder / file).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / file, folder / file)
            run("make", "-C", name, "secrets")
            stack = cls(docker, folder, files)
            try:
                yield stack
            except BaseException:
                for line in stack.logs().splitlines()[-150:]:
                    print(line)
                raise
            finally:
                stack.compose("--profile", "*", "down", "--volumes", "--timeout", "45")
                assert stack.leftovers() == [], f"`down --volumes` left {stack.leftovers()}"
                say("stack is down: no container, network or volume is left")

    def compose(self, *arguments: str) -> str:
        environment = {**self.ports, "AJOBS_IMAGE": IMAGE, "BUILDKIT_PROGRESS": "plain"}
        command = ["docker", "compose", "--project-name", self.project, "--project-directory", str(self.folder)]
        files = [str(self.folder / part) if part.endswith(".yaml") else part for part in self._files]
        return run(*command, *files, *arguments, **self._docker.environment, **environment)

    def up(self, *arguments: str) -> None:
        """Start missing containers and return once all are healthy."""
        self.compose("up", "--detach", "--wait", "--wait-timeout", "180", *arguments)

    def containers(self, service: str) -> list[str]:
        """Return the ids of a service's running containers."""
        return self.compose("ps", "--quiet", service).split()

    def container_of(self, service: str, host: str) -> str:
        """Return the container with a host name."""
        (container,) = [each for each in self.containers(service) if host.startswith(each[:12])]
        return container

    def kill(self, container: str) -> None:
        self._docker("kill", "--signal", "KILL", container)

    def start(self, container: str) -> None:
        self._docker("start", container)

    def inspect(self, container: str) -> dict[str, Any]:
        return json.loads(self._docker("inspect", container))[0]

    def leftovers(self) -> list[str]:
        label = f"label=com.docker.compose.project={self.project}"
        kinds = (("ps", "--all"), ("network", "ls"), ("volume", "ls"))
        return [each for kind in kinds for each in self._docker(*kind, "--quiet", "--filter", label).split()]

    def logs(self) -> str:
        try:
            return self.compose("logs", "--no-color", "--timestamps")
        except CommandError as e:
            return str(e)

    def unexpected_logs(self) -> list[str]:
        """Return log lines of the services that must never appear."""
        return [line for line in self.logs().splitlines() if any(text in line for text in UNEXPECTED)]

    def request(self, path: str, token: str | None) -> tuple[int, Any]:
        """Send a request to the HTTP API from this host; return the status, and the body of a successful response."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports['ADMIN_PORT']}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as e:
            return e.code, None

    def connect(self, role: str) -> AbstractAsyncContextManager[Client]:
        """Connect from this host, outside of the stack."""
        secrets = self.folder / "secrets"
        used = ("NATS_PORT", "NATS_PORT_2", "NATS_PORT_3") if len(self._files) > 2 else ("NATS_PORT",)
        return Client.connect(
            [f"nats://127.0.0.1:{self.ports[name]}" for name in used],
            nkey_seed_file=str(secrets / f"nats_{role}.nk"),
            inbox_prefix=f"_INBOX.{role}",
            signing_seed_file=secrets / "signing_seed",
        )
