"""Runs the command ``docker``."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping

TIMEOUT_S = 600.0
BEGAN = time.monotonic()


class CommandError(Exception):
    """A command failed. The text ends with its last lines of output."""


def say(text: str) -> None:
    print(f"[{time.monotonic() - BEGAN:6.1f} s] {text}", flush=True)


def run(*command: str, timeout_s: float = TIMEOUT_S, **environment: str) -> str:
    """Run a command and return its standard output."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=os.environ | environment,
        timeout=timeout_s,
        check=False,
    )
    if done.returncode:
        end = "\n".join((done.stdout + done.stderr).decode(errors="replace").splitlines()[-30:])
        raise CommandError(f"{' '.join(command)} ended with {done.returncode}:\n{end}")
    return done.stdout.decode(errors="replace").strip()


class Docker:
    """The command ``docker`` for one engine."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)

    def __call__(self, *arguments: str, timeout_s: float = TIMEOUT_S) -> str:
        return run("docker", *arguments, timeout_s=timeout_s, **self.environment)

    def can(self, *arguments: str) -> bool:
        """Return whether a command succeeds."""
        try:
            self(*arguments, timeout_s=120)
        except (CommandError, FileNotFoundError, subprocess.TimeoutExpired):
            return False
        return True


def fail(text: str) -> None:
    """Print an error and exit with 1."""
    print(f"\n*** {text}\n", file=sys.stderr, flush=True)
    sys.exit(1)
