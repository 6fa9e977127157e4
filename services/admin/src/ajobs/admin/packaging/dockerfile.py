"""The texts of the files that are written."""

from __future__ import annotations

import json

from ajobs.admin.packaging.plan import CONFIG, OWN_REQUIREMENTS, Plan

REQUIREMENTS = "ajobs-requirements.txt"
WHEELS = "wheels"
HOME = "/app"
"""Where the container has the configuration and the handlers; workers import from where they are started."""
USER = "10001:10001"


def dockerfile(plan: Plan) -> str:
    """Return the Dockerfile."""
    sources = [CONFIG, *(name for name in plan.copied if name != OWN_REQUIREMENTS)]
    copies = "\n".join(f"COPY {json.dumps([name, f'{HOME}/{name}'])}" for name in sources)
    files = [REQUIREMENTS, *([OWN_REQUIREMENTS] if plan.has_own_requirements else [])]
    variables = " \\\n".join(f"    {name}={json.dumps(value)}" for name, value in environment(plan).items())
    named = (
        f"\n# {CONFIG} names the NATS context {json.dumps(plan.config.nats)}: mount it below {HOME}/config."
        if plan.config.nats
        else ""
    )
    return f"""\
# Made by `ajc package docker` from {CONFIG}.
#
# Built on an image that has a worker, or on a bare Python one: docker build --build-arg BASE=python:3.13-slim .
# What no package index has is taken from the folder {WHEELS}/.
ARG BASE={plan.base}
FROM ${{BASE}}
USER root
WORKDIR {HOME}
COPY {WHEELS}/ /tmp/{WHEELS}/
COPY {" ".join(files)} /tmp/
RUN pip install --no-cache-dir --find-links /tmp/{WHEELS} {" ".join(f"--requirement /tmp/{file}" for file in files)}
{copies}
# Empty ones count as not set. AJ_NATS_CONTEXT is the name of a file {HOME}/config/nats/context/NAME.json,
# AJ_VERIFICATION_KEY a public key or a file of it; NATS_URL, NATS_CREDS and others work too, see the
# worker's --help.{named}
ENV {variables.lstrip()}
USER {USER}
STOPSIGNAL SIGTERM
CMD ["ajobs-worker"]
"""


def environment(plan: Plan) -> dict[str, str]:
    """Return the variables that the container is made with; all can be set anew when it is run."""
    return {
        "XDG_CONFIG_HOME": f"{HOME}/config",
        "AJ_CONFIG": f"{HOME}/{CONFIG}",
        "AJ_WORK_QUEUE": plan.queue,
        "AJ_CONCURRENCY": "10",
        "AJ_RETRY_POLICY": plan.config.retry or "default",
        "AJ_DEBUG": "",
        "AJ_NATS_CONTEXT": "",
        "AJ_VERIFICATION_KEY": "",
        "PYTHONUNBUFFERED": "1",
    }


def requirements(plan: Plan) -> str:
    """Return the file of what pip installs."""
    return "".join(f"{requirement}\n" for requirement in plan.requirements)


def dockerignore(plan: Plan) -> str:
    """Return the file that keeps all but what is needed out of the build, keys that lie about among it."""
    needed = [REQUIREMENTS, WHEELS, CONFIG, *plan.copied]
    lines = ["*", *(f"!{name}" for name in needed), "**/__pycache__", "**/*.pyc"]
    return "".join(f"{line}\n" for line in lines)


WHEELS_NOTE = """\
Wheels in this folder are installed before what a package index has. From a checkout of ajobs:

    pip wheel --no-deps --wheel-dir wheels CHECKOUT/packages/* CHECKOUT/services/worker

An image that has a worker already needs none.
"""
