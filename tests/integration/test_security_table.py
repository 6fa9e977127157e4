"""Someone who can write to NATS changes one thing: a real worker does what the table of docs/security.md says."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from ajobs.client import Client, Queue, TaskState
from ajobs.protocol.codec import decode_task, encode
from ajobs.protocol.errors import CorruptTaskError, TaskNotFoundError
from ajobs.protocol.signing import Signer, sign_task
from ajobs.protocol.subjects import TASKS_STREAM, task_subject
from ajobs.protocol.task import Result, Task
from ajobs.protocol.timestamps import format_timestamp, parse_timestamp
from ajobs.testing.nats_server import NatsServer
from ajobs.testing.workers import wait_items, working
from ajobs.worker import Context, Router
from tests import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("<!-- changes -->")[2].partition("<!-- end of changes -->")[0]
ROWS = {
    cells[0]: (cells[1], cells[2])
    for line in TABLE.splitlines()
    if line.startswith("| ") and not line.startswith(("| someone", "|---"))
    for cells in [[cell.strip() for cell in line.strip("|").split("|")]]
}
SIGNER, STRANGER = Signer(bytes(32)), Signer(b"x" * 32)
FORGED = Result(payload=msgspec.Raw(b'"forged"'), completed=format_timestamp(time.time_ns()))
SIGNED_FIELDS = {"id", "queue", "type", "payload", "max_tries", "created", "deadline"}
replace = msgspec.structs.replace


class Attack:
    """One attacked task, and everything that its change needs."""

    def __init__(self, server: NatsServer, producer: Client, stranger: Client, consumer: Client) -> None:
        self.server, self.producer, self.stranger, self.consumer = server, producer, stranger, consumer
        self.runs: list[Any] = []
        self.router = Router()
        self.router.add("pay", self._pay)
        self.router.add("parent", lambda: "honest")
        self.router.add("sentinel", lambda: None)

    async def _pay(self, context: Context) -> str:
        results = context.task.dependency_results or {}
        self.runs.append([json.loads(bytes(result.payload)) for result in results.values() if result is not None])
        return "paid"

    async def enqueue(self, **options: Any) -> Task:
        return await self.producer.enqueue("pay", {"amount": 1}, **options)

    async def overwrite(self, task_id: str, data: bytes) -> None:
        """Store bytes in place of a task, as anyone with write access can."""
        await self.stranger.storage.connection.nats.jetstream().publish(
            task_subject(task_id), data, stream=TASKS_STREAM
        )

    async def change(self, task: Task, **fields: Any) -> None:
        stored = (await self.stranger.storage.tasks.load(task.id)).task
        await self.overwrite(task.id, encode(replace(stored, **fields)))

    async def put_item(self, task: Task, queue: str = "Q") -> None:
        await self.stranger.storage.items.put(queue, task.id, again=True)

    async def work(self, queue: str = "Q") -> None:
        """Run a worker with one slot until it has handled every item of a queue."""
        async with Client.connect(
            self.server.url, queue=queue, verification_key=SIGNER.public_key_hex
        ) as consumer, working(consumer, self.router, concurrency=1):  # fmt: skip
            sentinel = await self.producer.enqueue("sentinel", queue=queue)
            await self.producer.wait(sentinel.id, timeout=30)

    async def outcome(self, task: Task) -> str:
        """Return the effect of the change, in the words of the table."""
        if self.runs:
            return "runs" if len(self.runs) == 1 else "runs again"
        try:
            stored = (await self.stranger.storage.tasks.load(task.id)).task
        except CorruptTaskError:
            return "corrupt"
        except TaskNotFoundError:
            return "never runs"
        if stored.state is TaskState.TERMINATED and "sign" in stored.last_err:
            return "refused"
        if stored.state in {TaskState.EXPIRED, TaskState.UNREACHABLE}:
            return stored.state.value
        return "waits" if (await self.stranger.queue_info("Q")).items else "never runs"


CASES: dict[str, Callable[[Attack], Awaitable[Task]]] = {}


def case(row: str) -> Callable[[Callable[[Attack], Awaitable[Task]]], Callable[[Attack], Awaitable[Task]]]:
    def register(attack: Callable[[Attack], Awaitable[Task]]) -> Callable[[Attack], Awaitable[Task]]:
        CASES[row] = attack
        return attack

    return register


def changed(row: str, *, work: bool = True, **fields: Any) -> None:
    async def attack(on: Attack) -> Task:
        task = await on.enqueue()
        await on.change(task, **fields)
        if work:
            await on.work()
        return task

    CASES[row] = attack


changed("`id`", id="another")
changed("`queue`", queue="OTHER")
changed("`type`", type="parent")
changed("`payload`", payload=b'{"amount":1000000}')
changed("`max_tries`", max_tries=0)
changed("`created`", created=format_timestamp(1))
changed("`deadline`", deadline=format_timestamp(time.time_ns() + 10**15))
changed("`signature` removed", signature="")
changed("`tries` raised", tries=10)
changed("`tries` negative", tries=-100)
changed("`tried`, and `state` to `active`", state=TaskState.ACTIVE, tried=format_timestamp(time.time_ns() + 10**15))
changed("`last_err`", last_err="\x1b[2Jforged")
changed("`dependencies` added", dependencies=("missing",), state=TaskState.BLOCKED)


@case("`signature` of another key")
async def signed_by_another_key(on: Attack) -> Task:
    task = await on.enqueue()
    forged = sign_task(replace(task, payload=b'{"amount":1000000}', signature=""), STRANGER)
    await on.overwrite(task.id, encode(forged))
    await on.work()
    return task


@case("`deadline` by 2^64 nanoseconds")
async def deadline_modulo(on: Attack) -> Task:
    task = await on.enqueue(deadline="1h")
    assert task.deadline is not None
    await on.change(task, deadline=format_timestamp(parse_timestamp(task.deadline) + 2**64))
    await on.work()
    return task


@case("`id`, `queue` and `type` shifted at a `:`")
async def shifted(on: Attack) -> Task:
    signed = await on.producer.enqueue("dryrun:pay", {"amount": 1})
    on.runs.clear()
    task = replace(signed, id=f"{signed.id}:Q", queue="dryrun", type="pay")
    await on.overwrite(task.id, encode(task))
    await on.consumer.create_queue(Queue(name="dryrun"))
    await on.put_item(task, "dryrun")
    await on.work("dryrun")
    return task


@case("`state` of a finished task to `new`, and an item")
async def replayed(on: Attack) -> Task:
    task = await on.enqueue()
    await on.work()
    await on.change(task, state=TaskState.NEW, tries=0, result=None)
    await on.put_item(task)
    await on.work()
    return task


@case("`state` to `complete`, with a `result`")
async def result_forged(on: Attack) -> Task:
    task = await on.enqueue()
    await on.change(task, state=TaskState.COMPLETE, result=FORGED)
    await on.work()
    assert await on.consumer.result(task.id, timeout=5) == "forged"
    return task


@case("`dependencies` removed, and `state` to `new`")
async def dependencies_removed(on: Attack) -> Task:
    await on.consumer.create_queue(Queue(name="IDLE"))
    parent = await on.producer.enqueue("parent", queue="IDLE")
    task = await on.enqueue(depends_on=[parent])
    await on.change(task, dependencies=None, state=TaskState.NEW)
    await on.work()
    return task


@case("`dependency_results`")
async def results_injected(on: Attack) -> Task:
    task = await on.enqueue()
    await on.change(task, dependency_results={"x": FORGED})
    await on.work()
    assert on.runs == [[]]
    return task


@case("`dependency_results` of a task that loads them")
async def results_injected_into_a_retry(on: Attack) -> Task:
    parent = await on.producer.enqueue("parent")
    await on.work()
    task = await on.enqueue(depends_on=[parent], load_dependencies=True)
    await on.change(task, state=TaskState.RETRY, dependency_results={parent.id: FORGED})
    await on.work()
    assert on.runs == [["honest"]]
    return task


@case("`load_dependencies` and `dependencies`")
async def results_of_other_tasks(on: Attack) -> Task:
    parent = await on.producer.enqueue("parent")
    await on.work()
    task = await on.enqueue()
    await on.change(task, load_dependencies=True, dependencies=(parent.id,), state=TaskState.BLOCKED)
    await on.work()
    assert on.runs == [["honest"]]
    return task


@case("`result` of a parent")
async def result_of_a_parent(on: Attack) -> Task:
    parent = await on.producer.enqueue("parent")
    await on.work()
    await on.change(parent, result=FORGED)
    task = await on.enqueue(depends_on=[parent], load_dependencies=True)
    await on.work()
    assert on.runs == [["forged"]]
    return task


@case("`signature` of a parent removed")
async def unsigned_parent(on: Attack) -> Task:
    parent = await on.producer.enqueue("parent")
    await on.work()
    await on.change(parent, signature="")
    task = await on.enqueue(depends_on=[parent])
    await on.work()
    return task


@case("a name with white space, too long or too many `dependencies`")
async def hostile_names(on: Attack) -> Task:
    task = await on.enqueue()
    for fields in ({"dependencies": ("a\r\nPUB x 0",)}, {"dependencies": ("a" * 4_200,)}, {"queue": "Q x"}):
        await on.overwrite(task.id, encode(replace(task, **fields)))
        await on.work()
    await on.overwrite(task.id, encode(replace(task, dependencies=tuple(map(str, range(60_000))))))
    await on.work()
    return task


@case("a document that is not a task")
async def garbage(on: Attack) -> Task:
    task = await on.enqueue()
    await on.overwrite(task.id, b"\xff{")
    await on.work()
    return task


@case("the task deleted")
async def deleted(on: Attack) -> Task:
    task = await on.enqueue()
    await on.stranger.delete(task.id)
    await on.work()
    return task


@case("its item removed")
async def item_removed(on: Attack) -> Task:
    task = await on.enqueue()
    await on.stranger.purge_queue("Q")
    await on.work()
    return task


@case("an item in another queue")
async def item_in_another_queue(on: Attack) -> Task:
    await on.consumer.create_queue(Queue(name="OTHER"))
    task = await on.enqueue()
    await on.put_item(task, "OTHER")
    await on.work("OTHER")
    assert not on.runs
    await on.work()
    return task


@case("an item with a name that is too long")
async def poison_item(on: Attack) -> Task:
    for job in ("a" * 4_200, "x 0\r\nPUB y", ""):
        await on.stranger.storage.connection.nats.jetstream().publish(
            "CHORIA_AJ.Q.Q.poison", json.dumps({"kind": 0, "job": job}).encode()
        )
        await on.work()
    task = await on.enqueue()
    await on.work()
    return task


def test_the_table_has_every_field_of_a_task():
    assert set(CASES) == set(ROWS)
    fields = set(re.findall(r"`(\w+)`", " ".join(ROWS))) & set(Task.__struct_fields__)
    assert fields == set(Task.__struct_fields__)
    for row, (signed, _) in ROWS.items():
        first = re.match(r"`(\w+)`", row)
        if first is not None and first[1] in Task.__struct_fields__ and first[1] != "signature" and "parent" not in row:
            assert (signed == "yes") is (first[1] in SIGNED_FIELDS), row


@pytest.mark.parametrize("row", ROWS)
async def test_a_change_has_the_effect_that_the_table_says(server, row):
    key = SIGNER.public_key_hex
    async with (
        Client.connect(server.url, queue=Queue(name="Q", max_run_time="1m"), signing_key=bytes(32)) as producer,
        Client.connect(server.url, queue="Q") as stranger,
        Client.connect(server.url, queue="Q", verification_key=key) as consumer,
    ):
        attack = Attack(server, producer, stranger, consumer)
        async with asyncio.timeout(60):
            task = await CASES[row](attack)
        assert await attack.outcome(task) == ROWS[row][1]


async def test_an_unchanged_task_runs_once(server):
    async with Client.connect(server.url, queue="Q", signing_key=bytes(32)) as producer:
        attack = Attack(server, producer, producer, producer)
        task = await attack.enqueue()
        await attack.work()
        await wait_items(producer, "Q", 0)
        assert await attack.outcome(task) == "runs"
        assert decode_task(encode(await producer.load(task.id))).state is TaskState.COMPLETE
