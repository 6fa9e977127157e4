"""``ajc queues list``."""

from __future__ import annotations

from ajobs.admin.cli.arguments import Csv, Json
from ajobs.admin.cli.documents import queue_document
from ajobs.admin.cli.queue_text import show_queues
from ajobs.admin.cli.session import connect
from ajobs.admin.text.printing import show_json


async def list_(*, json: Json = False, csv: Csv = False) -> None:
    """List all queues."""
    async with connect() as client:
        found = await client.queues()
    if json:
        show_json({"queues": [queue_document(info) for info in found]})
    else:
        show_queues(found, as_csv=csv)
