"""Workers that require signatures."""

from __future__ import annotations

import logging
from collections.abc import Generator
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from prometheus_client import REGISTRY

from ajobs.client import Client, Queue, TaskState
from ajobs.protocol.signing import Signer
from ajobs.testing.processes import worker_process
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


async def test_a_retry_into_another_queue_signs_nothing_that_had_no_signature(server):
    async with Client.connect(server.url, queue="Q") as stranger, Client.connect(
        server.url, queue="Q", signing_key=SEED, signatures_optional=True
    ) as trusted:  # fmt: skip
        await trusted.create_queue(Queue(name="OTHER"))
        unsigned = await stranger.enqueue("t", 1)
        signed = await trusted.enqueue("t", 1)
        assert not (await trusted.retry(unsigned.id, queue="OTHER")).signature
        moved = await trusted.retry(signed.id, queue="OTHER")
        assert moved.signature
        assert moved.signature != signed.signature


async def test_an_old_and_a_new_key_verify_while_keys_are_changed(server, router, caplog):
    caplog.set_level(logging.INFO)
    router.add("t", lambda: "ran")
    new, other = bytes(32), b"o" * 32
    keys = [PUBLIC_KEY, Signer(new).public_key_hex]
    async with (
        Client.connect(server.url, queue="Q", verification_key=keys) as consumer,
        Client.connect(server.url, queue="Q") as reader,
        working(consumer, router),
    ):
        for seed, state in ((SEED, S.COMPLETE), (new, S.COMPLETE), (other, S.TERMINATED)):
            async with Client.connect(server.url, queue="Q", signing_key=seed) as producer:
                task = await producer.enqueue("t")
            assert (await reader.wait(task.id, timeout=30)).state is state
    assert caplog.text.count("signatures are required, verified with 2 keys") == 1


async def test_a_task_of_another_queue_is_not_run_and_stays_as_it_is(server, router):
    """A retry moves a task between two queues whose workers are both busy; each item is handled once."""
    ran: list[str] = []
    router.add("t", lambda: ran.append("t"))
    async with Client.connect(server.url, queue="Q") as client:
        await client.create_queue(Queue(name="OTHER"))
        task = await client.enqueue("t", queue="OTHER")
        await client.storage.items.put("Q", task.id, again=True)
        async with working(client, router):
            await wait_items(client, "Q", 0)
        assert (await client.load(task.id)).state is S.NEW
        assert ran == []
        moved = await client.retry(task.id, queue="Q")
        async with working(client, router):
            assert (await client.wait(moved.id, timeout=30)).state is S.COMPLETE


async def test_a_worker_process_takes_a_key_file_from_the_environment(server, tmp_path):
    key = tmp_path / "with a space" / "verification_key"
    key.parent.mkdir()
    key.write_text(PUBLIC_KEY)
    environment = {"NATS_URL": server.url, "AJ_QUEUE": "Q", "AJ_VERIFICATION_KEY": str(key)}
    async with (
        worker_process("ajobs.testing.handlers:router", **environment) as worker,
        Client.connect(server.url, queue="Q", signing_key=SEED) as trusted,
        Client.connect(server.url, queue="Q") as stranger,
    ):
        await worker.wait_log("worker ready")
        assert await trusted.result((await trusted.enqueue("echo", 1)).id, int, timeout=30) == 1
        refused = await stranger.wait((await stranger.enqueue("echo", 2)).id, timeout=30)
        assert refused.state is S.TERMINATED
