"""The contents of the files that are written."""

from __future__ import annotations

import json

from ajobs.admin.packaging.plan import CONFIG, OWN_REQUIREMENTS, Plan

REQUIREMENTS = "ajobs-requirements.txt"
WHEELS = "wheels"
HOME = "/app"
"""Folder of the configuration and the handlers. Workers import from their working directory."""
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
# Written by `ajc package docker` from {CONFIG}.
#
# The base is an image with a worker, or a Python image: docker build --build-arg BASE=python:3.13-slim .
# Packages in the folder {WHEELS}/ are installed without a package index.
ARG BASE={plan.base}
FROM ${{BASE}}
USER root
WORKDIR {HOME}
COPY {WHEELS}/ /tmp/{WHEELS}/
COPY {" ".join(files)} /tmp/
RUN pip install --no-cache-dir --find-links /tmp/{WHEELS} {" ".join(f"--requirement /tmp/{file}" for file in files)}
{copies}
# Empty variables count as not set. AJ_NATS_CONTEXT names a file {HOME}/config/nats/context/NAME.json,
# AJ_VERIFICATION_KEY is a public key or a file with one. NATS_URL, NATS_CREDS and other variables work too:
# see ajobs-worker --help.{named}
ENV {variables.lstrip()}
USER {USER}
STOPSIGNAL SIGTERM
CMD ["ajobs-worker"]
"""


def environment(plan: Plan) -> dict[str, str]:
    """Return the variables of the image. All of them can be overridden when a container starts."""
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
    """Return the requirements file for pip."""
    return "".join(f"{requirement}\n" for requirement in plan.requirements)


def dockerignore(plan: Plan) -> str:
    """Return the file that excludes everything else, such as keys, from the build."""
    needed = [REQUIREMENTS, WHEELS, CONFIG, *plan.copied]
    lines = ["*", *(f"!{name}" for name in needed), "**/__pycache__", "**/*.pyc"]
    return "".join(f"{line}\n" for line in lines)


WHEELS_NOTE = """\
Wheels in this folder take precedence over a package index. To build them from a checkout of ajobs:

    pip wheel --no-deps --wheel-dir wheels CHECKOUT/packages/* CHECKOUT/services/worker

A base image with a worker needs none.
"""
