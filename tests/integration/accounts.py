"""A server with the NATS accounts of the stack, and a client for each role."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from ajobs.admin import provision
from ajobs.client import Client, Queue
from ajobs.testing.nats_server import NatsServer
from scripts import make_secrets


class Accounts:
    """The server, and the connection settings of each role."""

    def __init__(self, server: NatsServer, secrets: Path) -> None:
        self.server = server
        self.secrets = secrets

    def environment(self, role: str) -> dict[str, str]:
        return {
            "NATS_URL": self.server.url,
            "NATS_NKEY": str(self.secrets / f"nats_{role}.nk"),
            "NATS_INBOX_PREFIX": f"_INBOX.{role}",
        }

    def connect(self, role: str, **settings: Any) -> AbstractAsyncContextManager[Client]:
        options: dict[str, Any] = {
            "nkey_seed_file": str(self.secrets / f"nats_{role}.nk"),
            "inbox_prefix": f"_INBOX.{role}",
        }
        return Client.connect(self.server.url, **options | settings)

    async def switch(self, preset: str) -> None:
        """Restart the server with another preset."""
        make_secrets.write_all(self.secrets, preset)
        shutil.copy(self.secrets / "nats_accounts.conf", self.secrets.parent)
        await self.server.restart()

    def refused(self) -> list[str]:
        """Return the permission violations that the server logged."""
        return [line for line in self.server.log.read_text().splitlines() if "Violation" in line]


@asynccontextmanager
async def accounts(*queues: str, preset: str = "isolated") -> AsyncGenerator[Accounts]:
    """Run a server with the accounts of the stack, and the streams and buckets that `setup` creates."""
    with tempfile.TemporaryDirectory(prefix="ajobs-accounts-") as name:
        folder = Path(name)
        make_secrets.write_all(folder / "secrets", preset)
        for file in ("nats_users.conf", "nats_accounts.conf"):
            shutil.copy(folder / "secrets" / file, folder)
        async with NatsServer.run(folder=folder, config="include ./nats_accounts.conf\n") as server:
            stack = Accounts(server, folder / "secrets")
            async with stack.connect("admin") as admin:
                await provision.create_missing(admin, [Queue(name=queue) for queue in queues])
            yield stack
