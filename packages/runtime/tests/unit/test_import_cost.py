"""Modules that every start of a command imports stay small."""

from __future__ import annotations

import subprocess
import sys

import pytest

MOST_MODULES = 200
"""The client alone is 365 modules."""


@pytest.mark.parametrize("module", ["logging", "program", "environment", "command", "options", "worker_file"])
def test_a_module_of_the_runtime_does_not_load_the_client(module):
    code = f"import sys; before = set(sys.modules); import ajobs.runtime.{module}; print(*set(sys.modules) - before)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not [name for name in loaded if name.startswith(("ajobs.client", "nats"))]
    assert len(loaded) < MOST_MODULES
