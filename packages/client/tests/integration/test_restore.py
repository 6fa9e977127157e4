"""NATS comes back with an empty store: connected clients create what is missing."""

from __future__ import annotations

import asyncio
import logging
import shutil

import pytest

from ajobs.client import Client
from ajobs.protocol.errors import StorageNotReadyError
from ajobs.testing.nats_server import NatsServer
from ajobs.testing.workers import working
from ajobs.worker import Router


async def come_back_empty(server, folder):
    await server.stop()
    shutil.rmtree(folder / "jetstream", ignore_errors=True)
    await server.start()


async def until(check):
    async with asyncio.timeout(30):
        while not await check():
            await asyncio.sleep(0.05)


async def test_producers_and_workers_go_on_after_nats_lost_its_store(tmp_path, caplog):
    router = Router()
    router.add("t", lambda: "ran")
    async with (
        NatsServer.run(folder=tmp_path) as server,
        Client.connect(server.url, queue="Q") as producer,
        Client.connect(server.url, queue="Q") as for_worker,
        working(for_worker, router),
    ):
        assert await producer.result((await producer.enqueue("t")).id, timeout=30) == "ran"
        await come_back_empty(server, tmp_path)

        async def restored():
            try:
                return (await producer.queue_info("Q")).pulls > 0
            except Exception:
                return False

        await until(restored)
        assert await producer.result((await producer.enqueue("t")).id, timeout=30) == "ran"
    assert "earlier tasks are lost" in caplog.text


async def test_a_client_that_may_not_create_anything_logs_that_the_store_is_missing(tmp_path, caplog):
    caplog.set_level(logging.ERROR)
    async with NatsServer.run(folder=tmp_path) as server:
        async with Client.connect(server.url):
            pass
        async with Client.connect(server.url, no_storage_init=True) as client:
            await come_back_empty(server, tmp_path)

            async def logged():
                return "connect a client that may create it" in caplog.text

            await until(logged)
            with pytest.raises(StorageNotReadyError, match="connect a client"):
                await client.store_info()
