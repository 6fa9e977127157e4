"""The duty to repair stuck tasks: to end tasks that nothing will move any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ajobs.client.maintenance.janitor import Janitor
from ajobs.scheduler.duties.duty import Leads

if TYPE_CHECKING:
    from ajobs.client.client import Client


class Repair:
    """Repairs stuck tasks while leading."""

    name = "janitor"

    def __init__(self, client: Client) -> None:
        """Repair the tasks of the client's server."""
        self._janitor = Janitor(client)

    async def run(self, leads: Leads) -> None:
        """Look for stuck tasks at intervals while leading, until cancelled."""
        await self._janitor.run(allowed=leads)
