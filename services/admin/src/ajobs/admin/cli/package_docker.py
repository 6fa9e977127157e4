"""``ajc package docker``."""

from __future__ import annotations

import re
import shlex
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ajobs.admin.cli.arguments import Force
from ajobs.admin.text.printing import say
from ajobs.protocol.errors import ConfigurationError

BASE = "ajobs:latest"
"""The image that `docker compose build` builds from this project."""


def docker(
    *,
    file: Path = Path("asyncjobs.yaml"),
    output_: Annotated[Path, Parameter(name=("--output", "-o"))] = Path(),
    base: str = BASE,
    force: Force = False,
) -> None:
    """Write a Dockerfile for a worker and its handlers.

    The handlers are those of an asyncjobs.yaml. Everything that the build needs is written next to the Dockerfile.

    Parameters
    ----------
    file
        Path of the asyncjobs.yaml.
    output_
        Folder to write to. Default: the working directory.
    base
        Base image: one with a worker, or a Python image. docker build --build-arg BASE=... overrides it.
    force
        Overwrite existing files.
    """
    from ajobs.admin.packaging.plan import make_plan  # slow to import, and not needed for a help page
    from ajobs.admin.packaging.writing import write
    from ajobs.runtime.worker_file import load_config

    if not base or base != base.strip() or any(char.isspace() for char in base):
        raise ConfigurationError(f"invalid --base {base!r}: use an image such as {BASE} or python:3.13-slim")
    plan = make_plan(load_config(file), file, version=version("ajobs-admin"), base=base)
    names = write(plan, output_, force=force)
    say(f"wrote {', '.join(names)} to {output_}/")
    for command in plan.expected:
        say(f"the handlers run the command {command}: add it to the Dockerfile if {base} does not have it")
    tag = re.sub(r"[^a-z0-9]+", "-", plan.config.name.lower()).strip("-") or "handlers"
    say(f"\nbuild it:  docker build --tag {tag} {shlex.quote(str(output_))}")
    say(f"run it:    docker run --rm --env NATS_URL=nats://HOST:4222 {tag}")
