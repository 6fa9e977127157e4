"""``ajc`` with the NATS user of the stack's admins, as the environment names it."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from tests.integration.accounts import accounts


@pytest.mark.parametrize("command", ["info", "queues list", "schedules list", "workers list", "tasks list"])
async def test_ajc_connects_with_the_key_and_the_inbox_of_the_environment(command: str):
    async with accounts("Q") as stack:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ajobs.admin.cli.main", *command.split(),
            env=os.environ | stack.environment("admin"), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, errors = await process.communicate()
        assert errors.decode() == ""
        assert process.returncode == 0
        assert stack.refused() == []
