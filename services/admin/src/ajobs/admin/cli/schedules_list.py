"""``ajc schedules list``."""

from __future__ import annotations

from ajobs.admin.cli.arguments import Csv, Json
from ajobs.admin.cli.documents import schedule_document
from ajobs.admin.cli.schedule_text import COLUMNS
from ajobs.admin.cli.session import connect
from ajobs.admin.text.printing import say, show_json
from ajobs.admin.text.tables import show_table


async def list_(*, names: bool = False, json: Json = False, csv: Csv = False) -> None:
    """List all schedules.

    Parameters
    ----------
    names
        Print only names, one per line.
    """
    async with connect() as client:
        found = await client.schedules.all()
    if json:
        show_json({"schedules": [each.name if names else schedule_document(each) for each in found]})
    elif names:
        for each in found:
            say(each.name)
    else:
        show_table(
            found,
            COLUMNS,
            title="Schedules",
            empty="No schedules: create one with ajc schedule add.",
            as_csv=csv,
        )
