"""Workers that require signatures."""

from __future__ import annotations

import logging
from collections.abc import Generator
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from prometheus_client import REGISTRY

from ajobs.client import Client, TaskState
from ajobs.protocol.signing import Signer
from ajobs.testing.workers import wait_items, working
from ajobs.worker import Router

S = TaskState
SEED = bytes(range(32))
PUBLIC_KEY = Signer(SEED).public_key_hex


@pytest.fixture
def router():
    return Router()


async def test_a_refused_task_never_runs_and_its_item_is_not_redelivered(server, router):
    ran: list[str] = []
    router.add("t", lambda: ran.append("t"))
    async with Client.connect(server.url, queue="Q", signing_key=bytes(32)) as trusted, Client.connect(
        server.url, queue="Q"
    ) as stranger:  # fmt: skip
        unsigned = await stranger.enqueue("t", 1)
        forged = await stranger.enqueue(msgspec.structs.replace(stranger.new_task("t", 2), signature="00" * 64))
        parent = await stranger.enqueue("t", 3)
        child = await trusted.enqueue("t", depends_on=[parent])
        fine = await trusted.enqueue("t", 4)
        async with working(trusted, router):
            await trusted.wait(fine.id, timeout=30)
            await wait_items(trusted, "Q", 0)
        assert (await stranger.load(unsigned.id)).state is S.TERMINATED
        assert "signature" in (await stranger.load(forged.id)).last_err
        assert (await stranger.load(child.id)).state is S.UNREACHABLE
        assert ran == ["t"]


def refused() -> float:
    return REGISTRY.get_sample_value("choria_asyncjobs_task_refused_count_total", {"queue": "Q"}) or 0


@pytest.mark.parametrize(
    ("settings", "unsigned", "wrong"),
    [
        ({}, S.COMPLETE, S.COMPLETE),
        ({"verification_key": PUBLIC_KEY}, S.TERMINATED, S.TERMINATED),
        ({"verification_key": PUBLIC_KEY, "signatures_optional": True}, S.COMPLETE, S.TERMINATED),
    ],
    ids=["off", "required", "optional"],
)
async def test_signatures_are_off_required_or_optional(server, router, caplog, settings, unsigned, wrong):
    caplog.set_level(logging.DEBUG)
    router.add("t", lambda: "ran")
    before = refused()
    async with (
        Client.connect(server.url, queue="Q", signing_key=SEED) as producer,
        Client.connect(server.url, queue="Q", signing_key=bytes(32)) as other,
        Client.connect(server.url, queue="Q") as stranger,
        Client.connect(server.url, queue="Q", **settings) as consumer,
        working(consumer, router),
    ):
        tasks = [await client.enqueue("t", "sesame") for client in (producer, stranger, other)]
        states = [(await stranger.wait(task.id, timeout=30)).state for task in tasks]
        await wait_items(stranger, "Q", 0)
    assert states == [S.COMPLETE, unsigned, wrong]
    assert refused() - before == [unsigned, wrong].count(S.TERMINATED)
    assert "sesame" not in caplog.text
    assert "InNlc2FtZSI=" not in caplog.text


async def test_a_signing_key_does_not_stay_in_the_options(server):
    async with Client.connect(server.url, signing_key=SEED) as client:
        assert client.options.signing_key is None
        assert (await client.enqueue("t")).signature


@pytest.fixture
def seed_file() -> Generator[Path]:
    """Yield a file in a folder that other users may enter, unlike those of pytest."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        file = Path(folder) / "seed"
        file.write_text(SEED.hex())
        yield file


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True), (0o604, True)])
async def test_a_seed_file_that_others_may_read_logs_a_warning(server, seed_file, caplog, mode, warned):
    seed_file.chmod(mode)
    async with Client.connect(server.url, signing_seed_file=seed_file):
        pass
    assert ("chmod 600" in caplog.text) is warned
    assert SEED.hex() not in caplog.text
