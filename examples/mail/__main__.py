"""Enqueue a welcome mail for a user: ``python -m examples.mail 42 ann@example.net Ann``."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta

from ajobs.client import Client
from ajobs.protocol.errors import AjobsError, TaskAlreadyExistsError

from .tasks import QUEUE, Welcome


async def main(user_id: str, to: str, name: str) -> None:
    # Workers may require signed tasks. The variable is the one that the other programs use.
    seed = os.environ.get("AJ_SIGNING_SEED_FILE")
    async with Client.connect(queue=QUEUE, signing_seed_file=seed) as client:
        # The id names the cause. A second call, after a crash or by a second click, completes the first one if that is
        # unfinished, and is refused once the task was started.
        task_id = f"welcome-{user_id}"
        try:
            await client.enqueue(
                "mail:welcome", Welcome(to, name), task_id=task_id, max_tries=20, deadline=timedelta(days=1)
            )
        except TaskAlreadyExistsError:
            print(f"task {task_id} was started before")
        print("sent as", await client.result(task_id, str, timeout=30))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python -m examples.mail USER_ID ADDRESS NAME")
    try:
        asyncio.run(main(*sys.argv[1:]))
    except AjobsError as e:
        sys.exit(f"not sent: {e}")
