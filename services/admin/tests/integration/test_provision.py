"""Provisioning for services that may not create streams, buckets and queues themselves."""

from __future__ import annotations

import asyncio
import os
import sys

from ajobs.client import Client
from ajobs.protocol.durations import HOUR_NS, MINUTE_NS, as_ns
from ajobs.protocol.queue import default_queue


async def provision(url: str, **environment: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ajobs.admin.provision", env=os.environ | {"NATS_URL": url} | environment,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, errors.decode()


async def test_missing_queues_are_created_and_existing_ones_stay(server):
    assert (await provision(server.url, AJ_QUEUES="MAIL=5,IMAGES", AJ_MAX_RUN_TIME="5m"))[0] == 0
    assert (await provision(server.url, AJ_QUEUES="MAIL,WEBHOOKS"))[0] == 0
    async with Client.connect(server.url, queue="DEFAULT", bind=True) as client:
        made = {info.queue.name: as_ns(info.queue.max_run_time) for info in await client.queues()}
        assert made == {"DEFAULT": MINUTE_NS, "MAIL": 5 * MINUTE_NS, "IMAGES": 5 * MINUTE_NS, "WEBHOOKS": HOUR_NS}
        assert (await client.join_queue("DEFAULT")) == default_queue()


async def test_an_invalid_run_time_is_refused_in_one_line(server):
    for text in ("5 minutes", "0s"):
        code, errors = await provision(server.url, AJ_QUEUES="MAIL", AJ_MAX_RUN_TIME=text)
        assert code == 2
        assert errors.count("\n") == 1
