"""The command ``ajobs-scheduler``."""

from __future__ import annotations

import asyncio
import signal
import socket
import urllib.request

import pytest

from ajobs.protocol.subjects import SCHEDULER_ELECTION
from ajobs.scheduler.scheduler import Scheduler
from ajobs.testing.processes import program


async def test_the_command_serves_its_health_and_stops_cleanly(server, client):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {"AJ_SCHEDULER_NAME": "one", "AJ_MONITOR": str(port), "NATS_URL": server.url}
    async with program("ajobs.scheduler.main", "--log-format", "json", **environment) as scheduler:
        await scheduler.wait_log("campaigning as one")
        await scheduler.wait_log("leading:")
        status, body = await asyncio.to_thread(get, f"http://127.0.0.1:{port}/readyz")
        assert status == 200, body
        _, metrics = await asyncio.to_thread(get, f"http://127.0.0.1:{port}/metrics")
        assert 'choria_asyncjobs_election_leader{election="task_scheduler",identity="one"} 1.0' in metrics
        assert "choria_asyncjobs_task_scheduler_paused 0.0" in metrics
        scheduler.signal(signal.SIGTERM)
        assert await scheduler.ended() == 0
    assert await Scheduler(client, "observer").election._bucket.get(SCHEDULER_ELECTION) is None


def get(url: str) -> tuple[int, str]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.status, answer.read().decode()


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["--server", "nats://127.0.0.1:1"], 1, "cannot connect"),
        (["--server", "http://x"], 2, "nats://"),
        (["--signing-seed-file", "missing"], 2, "missing"),
        (["--log-level", "loud"], 2, "log level"),
    ],
)
async def test_an_invalid_option_is_one_clear_line(arguments, status, text):
    async with program("ajobs.scheduler.main", *arguments) as scheduler:
        assert await scheduler.ended() == status
    assert text in scheduler.log[-1]
