"""Repair, and other background jobs of the leader."""

from __future__ import annotations

import asyncio

from ajobs.client.maintenance.janitor import Janitor
from ajobs.scheduler.scheduler import Scheduler
from services.scheduler.tests.integration.kit import leading, wait_tasks


async def test_the_leader_repairs_stuck_tasks(client):
    task = await client.enqueue("t")
    await client.delete(task.id)
    async with Scheduler(client, "one").running():
        async with asyncio.timeout(60):
            while (await client.queue_info("Q")).items:
                await asyncio.sleep(0.02)


async def test_a_failed_background_job_is_logged_and_schedules_continue(client, monkeypatch, caplog):
    async def fail(*_args, **_options):
        raise RuntimeError("unexpected")

    monkeypatch.setattr(Janitor, "run", fail)
    async with Scheduler(client, "one").running() as scheduler:
        await leading(scheduler)
        await client.schedules.create("s", "@every 1s", "t", queue="Q")
        await wait_tasks(client, 1)
    assert 'background job "janitor" failed and stays off until the scheduler restarts' in caplog.text
