"""Notify an endpoint that an order was paid: ``python -m examples.webhooks shop 1042``."""

from __future__ import annotations

import asyncio
import os
import sys

from ajobs.client import Client
from ajobs.protocol.errors import AjobsError, TaskAlreadyExistsError

from .tasks import QUEUE, Event


async def main(endpoint: str, order: int) -> None:
    # Workers have only the public key: they run tasks that this program signed, and cannot sign tasks themselves.
    seed = os.environ.get("AJ_SIGNING_SEED_FILE", "webhook-keys/producer.seed")
    async with Client.connect(queue=QUEUE, signing_seed_file=seed) as client:
        # The id names the event and its receiver. A second call completes the first one if that is unfinished, and is
        # refused once the task was started.
        task_id = f"order-paid-{order}-{endpoint}"
        try:
            await client.enqueue(
                "webhook:deliver", Event(endpoint, "order.paid", {"order": order}), task_id=task_id, max_tries=12
            )
        except TaskAlreadyExistsError:
            print(f"task {task_id} was started before")
        print(f"{endpoint} answered", await client.result(task_id, int, timeout=60))


if __name__ == "__main__":
    if len(sys.argv) != 3 or not sys.argv[2].isdigit():
        sys.exit("usage: python -m examples.webhooks ENDPOINT ORDER_NUMBER")
    try:
        asyncio.run(main(sys.argv[1], int(sys.argv[2])))
    except AjobsError as e:
        sys.exit(f"not delivered: {e}")
