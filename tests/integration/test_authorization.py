"""Attacks with the key of each role: no subject, reply subject, body or header exceeds its permissions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import nats
import pytest
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg

from ajobs.testing.workers import QUICK, wait_items, working
from ajobs.worker import Router, remote_service
from scripts.nats_grants import ADMIN, REMOTE, ROLES, published
from tests.integration.accounts import Accounts, accounts

ATTACKERS = [role for role in ROLES if role != ADMIN]
VICTIM = "CHORIA_AJ_Q_VICTIM"
BUCKETS = [f"KV_CHORIA_AJ_{name}" for name in ("CONFIGURATION", "ELECTIONS", "IDEMPOTENCY")]
EVIL_SCHEDULE = json.dumps(
    {
        "name": "evil", "schedule": "@every 1s", "queue": "Q", "task_type": "pay", "payload": "e30=", "deadline": 0,
        "max_tries": 3, "created_at": "2026-01-01T00:00:00Z",
    }
).encode()  # fmt: skip
EVIL_KEY = "$KV.CHORIA_AJ_CONFIGURATION.scheduled_tasks.evil"
TARGETS = [
    f"$JS.API.STREAM.DELETE.{VICTIM}", f"$JS.API.STREAM.PURGE.{VICTIM}", "$JS.API.STREAM.CREATE.EVIL",
    f"$JS.API.CONSUMER.DELETE.{VICTIM}.WORKERS", f"$JS.ACK.{VICTIM}.WORKERS.1.1.1.1.0", EVIL_KEY,
    "$KV.CHORIA_AJ_CONFIGURATION.scheduled_tasks.innocent", "$KV.CHORIA_AJ_ELECTIONS.task_scheduler",
    "$KV.CHORIA_AJ_IDEMPOTENCY.evil", "CHORIA_AJ.L.due.Q.evil", "CHORIA_AJ.C.W.all.drain", "CHORIA_AJ.H.T.pay",
    "CHORIA_AJ.E.leader_election.task_scheduler", "$SYS.REQ.SERVER.PING", "_R_.abcdef.ghi", "_GR_.a.b.c", "$NRG.V.x",
]  # fmt: skip
"""Subjects that an attacker wants to write to, directly or through a reply of the server."""
HEADERS: list[dict[str, str] | None] = [
    None,
    {"KV-Operation": "PURGE", "Nats-Rollup": "sub"},
    {"Nats-Trace-Dest": EVIL_KEY},
    {"Nats-Request-Info": json.dumps({"acc": "ASYNCJOBS", "svc": "ASYNCJOBS", "reply": TARGETS[0]})},
]
LOAD = "$JS.API.DIRECT.GET.CHORIA_AJ_TASKS.CHORIA_AJ.T."
CONCRETE = {
    "$JS.API.STREAM.MSG.GET.*": "$JS.API.STREAM.MSG.GET.CHORIA_AJ_TASKS",
    "$JS.API.STREAM.MSG.DELETE.*": "$JS.API.STREAM.MSG.DELETE.CHORIA_AJ_TASKS",
    "$JS.API.CONSUMER.MSG.NEXT.*.WORKERS": "$JS.API.CONSUMER.MSG.NEXT.CHORIA_AJ_Q_Q.WORKERS",
    "$JS.ACK.*.WORKERS.>": "$JS.ACK.CHORIA_AJ_Q_Q.WORKERS.1.9.9.9.9",
    "CHORIA_AJ.Q.*.*": "CHORIA_AJ.Q.Q.evil",
}


def concrete(grant: str) -> list[str]:
    """Return subjects for a grant that are valid requests."""
    if grant == "$JS.API.DIRECT.GET.CHORIA_AJ_TASKS.>":
        return [LOAD + task for task in ("evil", "empty", "missing")]
    if grant in CONCRETE:
        return [CONCRETE[grant]]
    return [grant.replace("*.*", "CHORIA_AJ_Q_Q.WORKERS").replace("*", "evil").replace(">", "x.evil")]


def matches(pattern: str, subject: str) -> bool:
    parts, tokens = pattern.split("."), subject.split(".")
    for number, part in enumerate(parts):
        if part == ">":
            return len(tokens) > number
        if number >= len(tokens) or part not in {"*", tokens[number]}:
            return False
    return len(parts) == len(tokens)


def bodies(subject: str) -> list[bytes]:
    if "MSG.NEXT" in subject:
        return [b'{"batch":5,"no_wait":true}']
    if "STREAM.MSG.GET" in subject:
        return [b'{"last_by_subj":"CHORIA_AJ.T.evil"}', b'{"seq":1}']
    if "DIRECT.GET" in subject:
        return [b"", b'{"seq":1,"batch":20}', b'{"multi_last":["CHORIA_AJ.T.*"],"batch":100}']
    if "CONSUMER.CREATE" in subject:
        config = {"deliver_subject": EVIL_KEY, "ack_policy": "none", "deliver_policy": "all"}
        return [json.dumps({"stream_name": subject.rpartition(".")[2], "config": config}).encode()]
    if subject.startswith("$JS.API"):
        return [b"", b'{"seq":99999999}']
    return [EVIL_SCHEDULE, b"+TERM"]


class Attack:
    """A server with the shipped configuration, a connection of each role, and the messages that others receive."""

    def __init__(self, stack: Accounts, connections: dict[str, Nats]) -> None:
        self.stack = stack
        self.connections = connections
        self.received: list[str] = []

    async def receive(self, message: Msg) -> None:
        self.received.append(message.subject)

    async def ask(self, subject: str, body: bytes = b"") -> dict[str, Any]:
        return json.loads((await self.connections[ADMIN].request(f"$JS.API.{subject}", body, timeout=30)).data)

    async def listen(self) -> None:
        """Subscribe admins to all subjects of ajobs, and each role to its own inbox."""
        for subject in ("CHORIA_AJ.>", "$KV.>"):
            await self.connections[ADMIN].subscribe(subject, cb=self.receive)
        for role, connection in self.connections.items():
            subject = "CHORIA_AJ.H.T.pay" if role == REMOTE else f"_INBOX.{role}.victim"
            await connection.subscribe(subject, cb=self.receive)
            await connection.flush()

    async def prepare(self) -> None:
        """Store a forged schedule as a task, a valid schedule, and an item that is delivered to a worker."""
        stream = self.connections[ADMIN].jetstream()
        await stream.publish("CHORIA_AJ.T.evil", EVIL_SCHEDULE, headers={"KV-Operation": "PURGE"})
        await stream.publish("CHORIA_AJ.T.empty", b"")
        await stream.publish("$KV.CHORIA_AJ_CONFIGURATION.scheduled_tasks.innocent", b"{}")
        for item in ("one", "two"):
            await stream.publish(f"CHORIA_AJ.Q.VICTIM.{item}", b"{}")
        delivered = await self.connections[ADMIN].subscribe("_INBOX.admin.take")
        await self.connections[ADMIN].publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{VICTIM}.WORKERS", b"1", reply="_INBOX.admin.take"
        )
        await delivered.next_msg(timeout=30)

    async def state(self) -> dict[str, Any]:
        """Return the state that attacks must not change."""
        state: dict[str, Any] = {"streams": sorted((await self.ask("STREAM.NAMES"))["streams"])}
        for stream in (VICTIM, *BUCKETS):
            subjects = (
                (await self.ask(f"STREAM.INFO.{stream}", b'{"subjects_filter":">"}')).get("state", {}).get("subjects")
            )
            for subject in subjects or ():
                last = await self.ask(f"STREAM.MSG.GET.{stream}", json.dumps({"last_by_subj": subject}).encode())
                state[subject] = last.get("message", {}).get("seq")
        answer = await self.ask(f"CONSUMER.INFO.{VICTIM}.WORKERS")
        state["consumer"] = answer.get("error") or (
            answer["ack_floor"],
            answer["num_ack_pending"],
            answer["num_pending"],
        )
        return state

    async def settle(self) -> None:
        """Wait until the server has processed all messages. Its queues are first in, first out."""
        for connection in self.connections.values():
            await connection.flush()
        for _ in range(3):  # a reply can itself be a request, whose reply can be another one
            await self.connections[ADMIN].jetstream().publish("CHORIA_AJ.T.evil", EVIL_SCHEDULE)
            await self.ask("STREAM.NAMES")
            await self.connections[ADMIN].flush()

    async def run(self, role: str) -> int:
        """Publish to each subject with each reply subject, body and headers; return the number of messages."""
        connection, count = self.connections[role], 0
        inboxes = [f"_INBOX.{other}.victim" for other in ROLES if other != role]
        targets = [target for target in TARGETS if not any(matches(grant, target) for grant in published(role))]
        granted = [subject for grant in published(role) for subject in concrete(grant)]
        for subject in dict.fromkeys([*granted, *targets, LOAD + "empty", "CHORIA_AJ.T.evil"]):
            for reply in [*targets, *inboxes]:
                for body in bodies(subject):
                    for headers in HEADERS if subject.startswith(("CHORIA_AJ", "$KV")) else [None]:
                        await connection.publish(subject, body, reply=reply, headers=headers)
                        count += 1
            await connection.flush()
        await self.settle()
        return count


@asynccontextmanager
async def attack(preset: str) -> AsyncGenerator[Attack]:
    async with accounts("Q", "VICTIM", preset=preset) as stack, AsyncExitStack() as closing:

        async def ignore(_: Exception) -> None:
            """Violations are expected."""

        connections = {}
        for role in ROLES:
            seed, inbox = str(stack.secrets / f"nats_{role}.nk"), f"_INBOX.{role}"
            connections[role] = await nats.connect(
                stack.server.url, nkeys_seed=seed, inbox_prefix=inbox, error_cb=ignore
            )
            closing.push_async_callback(connections[role].close)
        running = Attack(stack, connections)
        await running.prepare()
        await running.listen()
        yield running


def violations(role: str, before: dict[str, Any], after: dict[str, Any], received: list[str]) -> list[str]:
    """Return the names that an attack changed, or the subjects that others received, beyond the role's permissions."""
    allowed = [*published(role), "CHORIA_AJ.T.evil"]
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    return sorted(name for name in changed | set(received) if not any(matches(grant, name) for grant in allowed))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("role", ATTACKERS)
async def test_no_reply_subject_gives_a_role_more_than_its_permissions(role: str):
    async with attack("isolated") as running:
        before = await running.state()
        assert await running.run(role) > 1_000
        assert violations(role, before, await running.state(), running.received) == []


async def test_in_the_preset_trusted_a_reply_subject_gives_a_role_all_permissions():
    """Shows the attack that the isolated preset prevents, and that these tests would detect it."""
    async with attack("trusted") as running:
        before = await running.state()
        await running.connections["producer"].publish(LOAD + "empty", b"", reply=TARGETS[0])
        await running.settle()
        detected = violations("producer", before, await running.state(), running.received)
        assert {"streams", "consumer"} <= set(detected)


@pytest.mark.parametrize("role", ATTACKERS)
async def test_no_role_can_subscribe_to_the_replies_or_the_data_of_others(role: str):
    subjects = [">", "CHORIA_AJ.>", "CHORIA_AJ.T.>", "CHORIA_AJ.Q.>", "$KV.>", "$JS.>", "$JS.ACK.>", "_R_.>", "$SYS.>"]
    subjects += [f"_INBOX.{other}.>" for other in ROLES if other != role] + ["_INBOX.>"]
    async with accounts("Q") as stack:
        refused: asyncio.Queue[str] = asyncio.Queue()

        async def error_cb(error: Exception) -> None:
            refused.put_nowait(str(error))

        seed = str(stack.secrets / f"nats_{role}.nk")
        connection = await nats.connect(stack.server.url, nkeys_seed=seed, error_cb=error_cb)
        try:
            for subject in subjects:
                await connection.subscribe(subject)
                await connection.flush()
                async with asyncio.timeout(30):
                    assert f'subscription to "{subject.lower()}"' in (await refused.get()).lower()
        finally:
            await connection.close()


async def test_a_remote_service_serves_tasks_with_the_key_of_its_role():
    async with accounts("Q") as stack:
        remote, router = Router(), Router()

        @remote.handler("double")
        async def double(number: int) -> int:
            return 2 * number

        router.remote("double")
        settings: dict[str, Any] = {
            "nkey_seed_file": str(stack.secrets / "nats_remote.nk"), "inbox_prefix": "_INBOX.remote",
        }  # fmt: skip
        async with (
            remote_service(remote, stack.server.url, **settings),
            stack.connect("worker", queue="Q") as consumer,
            working(consumer, router),
            stack.connect("producer", queue="Q") as producer,
        ):
            task = await producer.enqueue("double", 21)
            assert await producer.result(task.id, bytes, timeout=30) == b"42"
        assert stack.refused() == []


async def test_an_observer_reads_tasks_queues_and_events():
    async with (
        accounts("Q") as stack,
        stack.connect("observer", queue="Q", bind=True, no_storage_init=True) as observer,
    ):
        async with stack.connect("producer", queue="Q") as producer, observer.watch() as events:
            task = await producer.enqueue("t")
            async with asyncio.timeout(30):
                assert getattr(await anext(events), "task_id", "") == task.id
        assert (await observer.load(task.id)).id == task.id
        assert (await observer.queue_info("Q")).items == 1
        assert stack.refused() == []


async def test_switching_from_one_account_to_isolated_accounts_keeps_all_data():
    async with accounts("Q", preset="trusted") as stack:
        async with stack.connect("producer", queue="Q") as producer:
            many = await producer.enqueue_many(producer.new_task("double", number) for number in range(50))
        await stack.switch("isolated")
        router = Router()
        router.add("double", lambda number: 2 * number)
        async with (
            stack.connect("worker", queue="Q") as consumer,
            working(consumer, router),
            stack.connect("producer", queue="Q") as producer,
        ):
            assert not many.failed
            results = [await producer.result(task.id, int, timeout=30) for task in many.enqueued]
            assert results == [2 * number for number in range(50)]
        assert stack.refused() == []


async def test_a_stopping_worker_hands_back_items_that_the_server_is_about_to_send():
    """Across accounts, an item takes longer from the server to the worker."""
    router = Router()

    @router.handler("t")
    async def nothing() -> None:
        """Return at once."""

    async with (
        accounts("Q") as stack,
        stack.connect("producer", queue="Q") as producer,
        stack.connect("worker", queue="Q") as consumer,
    ):
        for _ in range(12):
            await producer.enqueue_many(producer.new_task("t") for _ in range(300))
            async with working(consumer, router, retry_policy=QUICK, concurrency=32), asyncio.timeout(30):
                while (await consumer.queue_info("Q")).items > 150:
                    await asyncio.sleep(0.005)
            async with working(consumer, router, retry_policy=QUICK, concurrency=32):
                await wait_items(consumer, "Q", 0)
