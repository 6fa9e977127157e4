"""``ajc schedules sign``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ajobs.admin.cli.arguments import Force
from ajobs.admin.cli.schedule_text import print_schedule
from ajobs.admin.cli.session import connect
from ajobs.admin.text.human import plural
from ajobs.admin.text.printing import say
from ajobs.admin.text.prompts import confirm
from ajobs.client.client import Client
from ajobs.client.schedules.schedules import ScheduleInfo
from ajobs.protocol.errors import ConfigurationError


async def sign(
    name: str | None = None, /, *, all_: Annotated[bool, Parameter(name="--all")] = False, force: Force = False
) -> None:
    """Sign a schedule with the seed of --sign.

    A scheduler with a signing seed creates tasks only for signed schedules. Check the schedule before you sign it: its
    tasks will have a valid signature.

    Parameters
    ----------
    name
        Name of the schedule.
    all_
        Sign all schedules whose signature is missing or wrong.
    """
    if (name is None) != all_:
        raise ConfigurationError("give the name of one schedule, or --all")
    async with connect() as client:
        if client.keys.signer is None:
            raise ConfigurationError("ajc schedule sign needs a seed: pass it with --sign")
        found = await _found(client, name)
        for info in found:
            print_schedule(info, json=False)
        if found:
            confirm(f"Sign {plural(len(found), 'schedule')}?", force=force)
        for info in found:
            await client.schedules.sign(info.name)
    say(f"signed {plural(len(found), 'schedule')}")


async def _found(client: Client, name: str | None) -> list[ScheduleInfo]:
    if name is not None:
        return [await client.schedules.load(name)]
    return [info for info in await client.schedules.all() if info.distrusted]
