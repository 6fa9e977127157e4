"""Servers of the HTTP API that are killed while their clients repeat what was not answered."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack

import httpx

from ajobs.testing.processes import program
from ajobs.testing.workers import wait_items, working
from ajobs.worker import Router
from services.admin.tests.integration.api_servers import http_client

REPLICAS = 2
KEYS = 90
KILLS = 3


class Replicas:
    """Servers as processes; one that is killed is followed by another."""

    def __init__(self, stack: AsyncExitStack, url: str) -> None:
        self._stack = stack
        self._arguments = ["server", "run", "--server", url, "--listen", "127.0.0.1:0", "--queue", "Q"]
        self.processes: list = [None] * REPLICAS
        self.urls = [""] * REPLICAS

    async def start(self, place: int) -> None:
        process = await self._stack.enter_async_context(program("ajobs.admin.cli.main", *self._arguments))
        line = await process.wait_log("server ready")
        self.processes[place] = process
        self.urls[place] = line.split("server ready: ")[1].split(",")[0]

    async def kill(self, place: int) -> None:
        await self.processes[place].kill()


class Clients:
    """Clients that repeat each request until it is answered, and now and then once more."""

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas
        self._chance = random.Random(7)
        self.ids: dict[int, set[str]] = {number: set() for number in range(KEYS)}

    @property
    def answered(self) -> int:
        return sum(map(bool, self.ids.values()))

    async def insist(self, number: int) -> None:
        while not self.ids[number] or self._chance.random() < 0.5:
            async with http_client(self._chance.choice(self._replicas.urls)) as http:
                try:
                    answer = await http.post(
                        "/v1/tasks", json={"type": "t", "payload": number}, headers={"Idempotency-Key": f"key-{number}"}
                    )
                except httpx.TransportError:
                    continue
            assert answer.status_code in {200, 201, 503}, answer.text
            if answer.status_code != 503:
                self.ids[number].add(answer.json()["id"])

    async def run(self, numbers: range) -> None:
        for number in numbers:
            await self.insist(number)


async def torment(replicas: Replicas, clients: Clients) -> None:
    for turn in range(KILLS):
        wanted = min(clients.answered + KEYS // (KILLS + 2), KEYS)
        while clients.answered < wanted:
            await asyncio.sleep(0.005)
        await replicas.kill(turn % REPLICAS)
        await replicas.start(turn % REPLICAS)


async def test_each_key_has_one_task_that_runs_once_however_often_servers_are_killed(server, client):
    runs: list[int] = []
    router = Router()

    @router.handler("t")
    async def run(number: int) -> None:
        runs.append(number)

    async with AsyncExitStack() as stack:
        replicas = Replicas(stack, server.url)
        await asyncio.gather(*(replicas.start(place) for place in range(REPLICAS)))
        clients = Clients(replicas)
        async with working(client, router), asyncio.timeout(120):
            async with asyncio.TaskGroup() as group:
                group.create_task(torment(replicas, clients))
                for begin in range(6):
                    group.create_task(clients.run(range(begin, KEYS, 6)))
            await wait_items(client, "Q", 0)
    assert all(len(found) == 1 for found in clients.ids.values())
    assert (await client.store_info()).tasks == KEYS
    assert sorted(runs) == list(range(KEYS))
