"""``ajc package``."""

from __future__ import annotations

import re
import shlex
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ajobs.admin.cli.arguments import Force, group
from ajobs.admin.text import output
from ajobs.protocol.errors import ConfigurationError

BASE = "ajobs:latest"
"""The image that `docker compose build` makes of this project."""

app = group("package", "Pack handlers into containers.")


@app.command
def docker(
    *,
    file: Path = Path("asyncjobs.yaml"),
    output_: Annotated[Path, Parameter(name=("--output", "-o"))] = Path(),
    base: str = BASE,
    force: Force = False,
) -> None:
    """Write a Dockerfile, and all that it needs, for a worker with the handlers that an asyncjobs.yaml names.

    Parameters
    ----------
    file
        The asyncjobs.yaml.
    output_
        The folder to write to. Default: the working directory.
    base
        The image to build on: one that has a worker, or a Python one. docker build --build-arg BASE=... changes it.
    force
        Overwrite what is there.
    """
    from ajobs.admin.packaging.plan import make_plan  # what a help page need not wait for
    from ajobs.admin.packaging.writing import write
    from ajobs.runtime.worker_file import load_config

    if not base or base != base.strip() or any(char.isspace() for char in base):
        raise ConfigurationError(f"--base {base!r} is no image: give one such as {BASE} or python:3.13-slim")
    plan = make_plan(load_config(file), file, version=version("ajobs-admin"), base=base)
    names = write(plan, output_, force=force)
    output.say(f"wrote {', '.join(names)} to {output_}/")
    for command in plan.expected:
        output.say(f"the image has to have the command {command}: add it to the Dockerfile if {base} lacks it")
    tag = re.sub(r"[^a-z0-9]+", "-", plan.config.name.lower()).strip("-") or "handlers"
    output.say(f"\nbuild it:  docker build --tag {tag} {shlex.quote(str(output_))}")
    output.say(f"run it:    docker run --rm --env NATS_URL=nats://HOST:4222 {tag}")
