"""The labels of a worker's metrics: outside text never adds to their number."""

from __future__ import annotations

import asyncio

from prometheus_client import REGISTRY, generate_latest

from ajobs.testing.workers import working
from ajobs.worker import Router


def failures(label: str) -> float:
    labels = {"queue": "Q", "type": label}
    return REGISTRY.get_sample_value("choria_asyncjobs_handler_error_total", labels) or 0.0


async def test_types_without_a_handler_share_one_label(client):
    router = Router()

    @router.handler("mail:")
    async def mail() -> None:
        raise ValueError

    others, mails = failures("other"), failures("mail:")
    await client.enqueue_many([client.new_task(f"{kind}{n}") for n in range(100) for kind in ("invented-", "mail:")])
    async with working(client, router), asyncio.timeout(60):
        while failures("other") < others + 100 or failures("mail:") < mails + 100:
            await asyncio.sleep(0.01)
    metrics = generate_latest().decode()
    assert "invented-" not in metrics
    assert "mail:1" not in metrics
