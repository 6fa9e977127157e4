"""``ajc tasks process``, ``watch``, ``wait`` and ``result``: with tasks that run."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from ajobs.client import Client, TaskState
from ajobs.protocol.errors import TaskNotFoundError
from ajobs.protocol.signing import Signer
from ajobs.testing.processes import program
from ajobs.testing.workers import working
from ajobs.worker import Router, TerminateTask
from services.admin.tests.integration.ajc import Ajc

SEED = bytes(range(32))


@pytest.fixture
def ajc(server) -> Ajc:
    return Ajc(server.url)


@pytest.fixture
def echo(tmp_path):
    path = tmp_path / "echo.sh"
    path.write_text('#!/bin/sh\nprintf "did it"\n')
    path.chmod(0o755)
    return path


def processing(server, *arguments: str, **environment: str):
    return program("ajobs.admin.cli.main", *arguments, NATS_URL=server.url, **environment)


async def test_a_program_runs_tasks_of_a_type(server, client, echo):
    arguments = ("task", "process", "email", "Q", "3", str(echo), "--monitor", "0", "--backoff", "1m")
    async with processing(server, *arguments) as worker:
        await worker.wait_log("metrics and health")
        line = await worker.wait_log("worker ready")
        assert "queue Q, 3 slots, task types email" in line
        task = await client.enqueue("email:new")
        assert await client.result(task.id, timeout=30) == "did it"
        worker.signal(15)
        assert await worker.ended() == 0


async def test_variables_configure_process_and_finished_tasks_can_be_discarded(server, client, echo):
    environment = {"AJC_TYPE": "", "AJC_QUEUE": "Q", "AJC_CONCURRENCY": "2", "AJC_COMMAND": str(echo)}
    arguments = ("task", "process", "--discard-complete", "--discard-expired")
    async with processing(server, *arguments, **environment) as worker:
        assert "task types (all)" in await worker.wait_log("worker ready")
        async with client.watch() as events:
            task = await client.enqueue("whatever")
            async with asyncio.timeout(30):
                async for event in events:
                    if event.state is TaskState.COMPLETE:
                        break
        worker.signal(2)
        assert await worker.ended() == 0
    with pytest.raises(TaskNotFoundError):
        await client.load(task.id)


async def test_a_remote_service_handles_tasks(server, client):
    async def answer(message) -> None:
        await message.respond(b"from afar")

    await client.storage.connection.nats.subscribe("CHORIA_AJ.H.T.far", cb=answer)
    async with processing(server, "task", "process", "far", "Q", "1", "--remote") as worker:
        await worker.wait_log("worker ready")
        task = await client.enqueue("far")
        assert await client.result(task.id, bytes, timeout=30) == b"from afar"


async def test_a_worker_checks_signatures(server, client, echo, tmp_path):
    key = Signer(SEED).public_key_hex
    for keys in (("--verify", key), ("--sign", SEED.hex())):
        async with processing(server, "task", *keys, "process", "t", "Q", "1", str(echo)) as worker:
            await worker.wait_log("worker ready")
            unsigned = await client.enqueue("t")
            async with Client.connect(server.url, queue="Q", signing_key=SEED) as signing:
                signed = await signing.enqueue("t")
            assert await client.result(signed.id, timeout=30) == "did it"
            assert (await client.load(unsigned.id)).state is not TaskState.COMPLETE


async def test_invalid_arguments_of_process_are_refused(ajc, client, tmp_path):
    (tmp_path / "text").write_text("")
    cases = [
        (["t", "Q", "1"], "got neither"),
        (["t", "Q", "1", "/bin/true", "--remote"], "got both"),
        (["t", "Q", "1", "/no/such/program"], "'/no/such/program' not found"),
        (["t", "Q", "1", str(tmp_path / "text")], "is not executable"),
        (["bad type", "Q", "1", "/bin/true"], "invalid task type 'bad type'"),
    ]
    ran = await asyncio.gather(*(ajc("task", "process", *words) for words, _ in cases))
    for each, (_, text) in zip(ran, cases, strict=True):
        assert each.status == 2
        assert text in each.complaint
    assert "queue NOPE does not exist" in (await ajc("task", "process", "t", "NOPE", "1", "/bin/true")).err


async def test_results_and_ends_of_tasks_are_waited_for(ajc, client):
    router = Router()

    @router.handler("good")
    async def good(words: list[str]) -> list[str]:
        return words

    @router.handler("text")
    async def text() -> str:
        return "plain"

    @router.handler("bad")
    async def bad() -> None:
        raise TerminateTask("no use")

    async with working(client, router):
        one = await client.enqueue("good", ["a"])
        two = await client.enqueue("text")
        three = await client.enqueue("bad")
        waits = await asyncio.gather(
            ajc("task", "wait", one.id, two.id), ajc("task", "wait", one.id, three.id),
            ajc("task", "wait", one.id, "--json"), ajc("task", "result", one.id), ajc("task", "result", two.id),
            ajc("task", "result", two.id, "--json"), ajc("task", "result", three.id),
        )  # fmt: skip
        both, one_bad, document, result, words, quoted, failed = waits
    assert (both.status, both.out) == (0, f"{one.id} complete\n{two.id} complete\n")
    assert (one_bad.status, one_bad.out.splitlines()[1]) == (1, f"{three.id} terminated: no use")
    assert document.json["tasks"][0]["state"] == "complete"
    assert result.json == ["a"]
    assert (words.line, quoted.json) == ("plain", "plain")
    assert failed.status == 1
    assert "terminated" in failed.complaint


async def test_waiting_has_an_end(ajc, client):
    task = await client.enqueue("t")
    late, missing, nothing = await asyncio.gather(
        ajc("task", "wait", task.id, "--timeout", "10ms"), ajc("task", "result", "nope"), ajc("task", "wait")
    )
    assert (late.status, missing.status, nothing.status) == (1, 1, 2)
    assert "was not finished within" in late.complaint
    assert "nope is not stored" in missing.complaint


async def test_watch_shows_state_changes_as_they_happen(ajc, client):
    router = Router()

    @router.handler("t")
    async def handle() -> None:
        raise TerminateTask("no use")

    watching = [
        ajc.running("task", "watch", "-n", "3"),
        ajc.running("task", "watch", "--json", "--count", "1", "--state", "terminated", "--queue", "Q", "--type", "t"),
        ajc.running("task", "watch", "--task", "one", "-n", "1"),
    ]
    async with watching[0] as every, watching[1] as ended, watching[2] as of_one, asyncio.timeout(60):
        for process in (every, ended, of_one):
            assert process.stderr is not None
            assert b"watching" in await process.stderr.readline()
        async with working(client, router):
            first = await client.enqueue("t")
            await client.wait(first.id)
            await client.enqueue("t", task_id="one")
            lines = (await every.communicate())[0].decode().splitlines()
            document = msgspec.json.decode((await ended.communicate())[0])
            (line,) = (await of_one.communicate())[0].decode().splitlines()
    assert (every.returncode, ended.returncode, of_one.returncode) == (0, 0, 0)
    assert [text.partition("] ")[2] for text in lines] == [
        f"{first.id}: queue: Q type: t tries: 0 state: new",
        f"{first.id}: queue: Q type: t tries: 1 state: active",
        f"{first.id}: queue: Q type: t tries: 1 state: terminated error: no use",
    ]
    assert (document["task_id"], document["state"]) == (first.id, "terminated")
    assert "one: queue: Q type: t tries: 0 state: new" in line
