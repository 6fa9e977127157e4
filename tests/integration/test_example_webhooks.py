"""The webhooks example with signed tasks, a real worker process and a receiver that verifies deliveries."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from ajobs.client import Client, Queue, TaskState
from ajobs.testing.processes import WorkerProcess, worker_process
from examples.webhooks.endpoints import load_endpoints
from examples.webhooks.keys import make_keys
from examples.webhooks.receiver import Answer, Receiver
from examples.webhooks.signature import secret_bytes
from examples.webhooks.tasks import Event
from tests import ROOT

S = TaskState


class Scripted(Receiver):
    """The example's receiver with scripted responses. Without any left, it answers as in the example."""

    def __init__(self, key: bytes) -> None:
        super().__init__("127.0.0.1", 0, key)
        self.answers: list[Answer | None] = []
        self.got: list[tuple[str, bytes]] = []
        self.received = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()

    def act(self, message_id: str, body: bytes) -> Answer:
        self.got.append((message_id, body))
        answer = self.answers.pop(0) if self.answers else super().act(message_id, body)
        self.received.set()
        self.may_answer.wait(60)
        if answer is None:
            raise ConnectionAbortedError  # hangs up
        return answer

    def handle_error(self, request, client_address):
        """Do not print errors of clients that disconnect."""


@pytest.fixture
def receiver(tmp_path, monkeypatch) -> Generator[Scripted]:
    make_keys(tmp_path, "http://127.0.0.1:1/")
    monkeypatch.setenv("WEBHOOK_ENDPOINTS", str(tmp_path / "endpoints.json"))
    endpoint = load_endpoints()["shop"]
    with Scripted(secret_bytes(endpoint.secret)) as receiver:
        port = receiver.server_address[1]
        endpoints = {"shop": {"url": f"http://127.0.0.1:{port}/", "secret": endpoint.secret}}
        (tmp_path / "endpoints.json").unlink()
        (tmp_path / "endpoints.json").write_bytes(msgspec.json.encode(endpoints))
        thread = threading.Thread(target=receiver.serve_forever)
        thread.start()
        yield receiver
        receiver.may_answer.set()
        receiver.shutdown()
        thread.join()


@asynccontextmanager
async def delivering(url: str, keys: Path, **variables: str) -> AsyncGenerator[WorkerProcess]:
    arguments = ("examples.webhooks.tasks:router", "--queue", "WEBHOOKS", "--server", url)
    arguments += ("--verification-key", str(keys / "producer.public"))
    async with worker_process(*arguments, **variables) as worker:
        await worker.wait_log("worker ready")
        yield worker


@pytest.fixture
async def producer(server, receiver, tmp_path) -> AsyncGenerator[Client]:
    queue = Queue(name="WEBHOOKS", max_run_time=2)  # how soon another worker gets the task of a dead one
    async with Client.connect(server.url, queue=queue, signing_seed_file=tmp_path / "producer.seed") as client:
        yield client


async def deliver(client: Client, endpoint: str = "shop"):
    task = await client.enqueue("webhook:deliver", Event(endpoint, "order.paid", {"order": 7}))
    return await client.wait(task.id, timeout=60)


async def run_producer(url: str, keys: Path, *arguments: str) -> tuple[int, str]:
    variables = {"NATS_URL": url, "AJ_SIGNING_SEED_FILE": str(keys / "producer.seed")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "examples.webhooks", *arguments, cwd=ROOT, env=os.environ | variables,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_a_receiver_that_asks_for_a_retry_verifies_the_event_and_processes_it_once(server, receiver, tmp_path):
    async with delivering(server.url, tmp_path) as worker:
        first = await run_producer(server.url, tmp_path, "shop", "1042")
        again = await run_producer(server.url, tmp_path, "shop", "1042")
    assert first == (0, "shop answered 204\n")
    assert again == (0, "task order-paid-1042-shop was started before\nshop answered 204\n")
    assert [message_id for message_id, _ in receiver.got] == ["order-paid-1042-shop"] * 2
    assert receiver.got[0] == receiver.got[1]
    (body,) = receiver.done.values()
    event = msgspec.json.decode(body)
    assert (event["type"], event["data"]) == ("order.paid", {"order": 1042})
    # URLs can contain secrets, so they are not logged.
    assert "shop accepted order.paid" in "".join(worker.log)
    assert f"127.0.0.1:{receiver.server_address[1]}" not in "".join(worker.log)


async def test_retry_after_takes_precedence_over_the_retry_policy(server, receiver, tmp_path, producer):
    # With the delays of the retry policy, seven tries would take more than an hour.
    receiver.answers = [Answer(status, "later", "0") for status in (429, 500, 502, 503, 429, 503)]
    receiver.answers.append(Answer(204, "taken"))
    async with delivering(server.url, tmp_path):
        task = await deliver(producer)
    assert (task.state, task.tries) == (S.COMPLETE, 7)
    assert len(set(receiver.got)) == 1


async def test_a_permanent_failure_and_an_unknown_endpoint_terminate_the_task(server, receiver, tmp_path, producer):
    receiver.answers = [Answer(410, "gone"), Answer(404, "unknown"), Answer(302, "elsewhere")]
    async with delivering(server.url, tmp_path):
        for error in ("410: the endpoint is gone", "answered 404", "302: redirects are not followed"):
            task = await deliver(producer)
            assert (task.state, task.tries) == (S.TERMINATED, 1)
            assert error in task.last_err
        task = await deliver(producer, "nobody")
    assert (task.state, task.last_err) == (S.TERMINATED, "unknown endpoint 'nobody'")
    assert len(receiver.got) == 3


async def test_a_delivery_is_retried_if_the_receiver_disconnects_or_does_not_answer(
    server, receiver, tmp_path, producer
):
    receiver.answers = [None, Answer(204, "taken")]
    async with delivering(server.url, tmp_path):
        task = await deliver(producer)
    assert (task.state, task.tries) == (S.COMPLETE, 2)

    receiver.answers = [Answer(204, "taken too late"), Answer(204, "taken")]
    receiver.may_answer.clear()
    async with delivering(server.url, tmp_path, WEBHOOK_TIMEOUT_S="0.5") as worker:
        task = await producer.enqueue("webhook:deliver", Event("shop", "order.paid", {}))
        assert "ReadTimeout" in await worker.wait_log("outcome=retry")
        receiver.may_answer.set()
        task = await producer.wait(task.id, timeout=60)
    assert task.state is S.COMPLETE


async def test_a_task_that_is_not_signed_by_the_producer_is_not_delivered(server, receiver, tmp_path):
    async with delivering(server.url, tmp_path):
        async with Client.connect(server.url, queue="WEBHOOKS") as stranger:
            task = await deliver(stranger)
        async with Client.connect(server.url, queue="WEBHOOKS", signing_key=bytes(32)) as forger:
            forged = await forger.enqueue("webhook:deliver", Event("shop", "order.paid", {}))
            forged = await forger.wait(forged.id, timeout=60)
    assert (task.state, forged.state) == (S.TERMINATED, S.TERMINATED)
    assert "signature" in forged.last_err
    assert receiver.got == []


async def test_a_worker_that_dies_before_the_answer_leads_to_a_delivery_with_the_same_id(
    server, receiver, tmp_path, producer
):
    receiver.seen.add("paid-7")  # so that it processes the first delivery
    receiver.may_answer.clear()
    async with delivering(server.url, tmp_path) as first:
        event = Event("shop", "order.paid", {"order": 7})
        task = await producer.enqueue("webhook:deliver", event, task_id="paid-7")
        await asyncio.to_thread(receiver.received.wait, 60)
        await first.kill()
    receiver.may_answer.set()
    async with delivering(server.url, tmp_path):
        ended = await producer.wait(task.id, timeout=60)
    assert (ended.state, ended.tries) == (S.COMPLETE, 2)
    assert receiver.got[0] == receiver.got[1]
    assert receiver.done == {"paid-7": receiver.got[0][1]}


def test_keys_are_readable_by_their_owner_only_and_created_once(tmp_path, capsys):
    make_keys(tmp_path / "keys", "http://127.0.0.1:8080/")
    files = {path.name: path.read_bytes() for path in (tmp_path / "keys").iterdir()}
    assert sorted(files) == ["endpoints.json", "producer.public", "producer.seed"]
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "keys" / "producer.seed").stat().st_mode) == 0o600
    make_keys(tmp_path / "keys", "http://127.0.0.1:8080/")
    assert {path.name: path.read_bytes() for path in (tmp_path / "keys").iterdir()} == files
    assert all(data.decode() not in capsys.readouterr().out for data in files.values())
