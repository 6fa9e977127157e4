"""One task for one Idempotency-Key, over replicas, crashes and retries."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from ajobs.client import Client, Queue
from ajobs.client.storage.jetstream.buckets import Bucket
from ajobs.client.storage.tasks import NEVER_STORED
from ajobs.client.tasks.idempotency import Key
from ajobs.protocol.durations import MINUTE_NS
from ajobs.protocol.errors import TaskAlreadyExistsError
from ajobs.protocol.states import TaskState
from ajobs.protocol.subjects import IDEMPOTENCY_BUCKET
from ajobs.protocol.task import new_task
from ajobs.protocol.timestamps import parse_timestamp
from ajobs.testing.workers import wait_items, working
from ajobs.worker import Router
from services.admin.tests.integration.api_servers import api_server, problem

BODY = {"type": "t", "payload": {"a": 1, "b": 2}}
KEY = {"Idempotency-Key": "order-1"}


async def count(client: Client) -> tuple[int, int]:
    """Return how many tasks there are, and how many items."""
    return (await client.store_info()).tasks, (await client.queue_info("Q")).items


async def test_a_repeat_answers_200_with_the_same_task(api, client):
    first = await api.post("/v1/tasks", BODY, headers=KEY)
    second = await api.post("/v1/tasks", BODY, headers=KEY)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert first.headers["location"] == second.headers["location"]
    assert await count(client) == (1, 1)


async def test_the_order_of_fields_and_spaces_does_not_change_the_request(api, client):
    headers = KEY | {"Content-Type": "application/json"}
    await api.http.post("/v1/tasks", content=b'{"type":"t","payload":{"a":1,"b":2}}', headers=headers)
    again = b'{ "payload": {"b": 2, "a": 1}, "type": "t" }'
    assert (await api.http.post("/v1/tasks", content=again, headers=headers)).status_code == 200
    assert await count(client) == (1, 1)


async def test_another_body_with_the_same_key_is_refused(api, client):
    await api.post("/v1/tasks", BODY, headers=KEY)
    other = await api.post("/v1/tasks", BODY | {"payload": 2}, headers=KEY)
    assert problem(other) == (409, "conflict", "idempotency_key_reused")
    assert (await api.post("/v1/tasks", BODY, headers={"Idempotency-Key": "order-2"})).status_code == 201
    assert await count(client) == (2, 2)


async def test_a_key_has_1_to_128_characters(api):
    assert (await api.post("/v1/tasks", BODY, headers={"Idempotency-Key": "k" * 128})).status_code == 201
    for key in ("", "k" * 129):
        response = await api.post("/v1/tasks", BODY, headers={"Idempotency-Key": key})
        assert problem(response) == (400, "invalid_argument", "idempotency_key_invalid")


async def test_a_refused_request_uses_no_key(api, client):
    wrong = await api.post("/v1/tasks", BODY | {"queue": "NONE"}, headers=KEY)
    assert wrong.status_code == 404
    assert (await api.post("/v1/tasks", BODY, headers=KEY)).status_code == 201


async def test_concurrent_requests_with_one_key_to_two_replicas_create_one_task(server, client):
    async with api_server(server) as one, api_server(server) as other:
        for round_ in range(10):
            headers = {"Idempotency-Key": f"round-{round_}"}
            answers = await asyncio.gather(
                *((one, other)[number % 2].post("/v1/tasks", BODY, headers=headers) for number in range(12))
            )
            assert sorted(answer.status_code for answer in answers) == [200] * 11 + [201]
            assert len({answer.json()["id"] for answer in answers}) == 1
        assert await count(client) == (10, 10)


async def test_a_task_that_runs_while_its_request_is_repeated_runs_once(server, client):
    runs: list[str] = []
    router = Router()
    router.add("t", lambda payload: runs.append(str(payload)))
    async with api_server(server) as one, api_server(server) as other, working(client, router):
        for number in range(20):
            headers = {"Idempotency-Key": f"k-{number}"}
            answers = await asyncio.gather(*(api.post("/v1/tasks", BODY, headers=headers) for api in (one, other) * 2))
            await client.wait(answers[0].json()["id"], timeout=30)
            repeat = await other.post("/v1/tasks", BODY, headers=headers)
            assert (repeat.status_code, repeat.json()["state"]) == (200, "complete")
        await wait_items(client, "Q", 0)
    assert len(runs) == 20


async def test_a_discarded_task_is_not_created_again(server, client):
    runs: list[int] = []
    router = Router()
    router.add("t", lambda: runs.append(1))
    async with api_server(server) as api, Client.connect(server.url, queue="Q") as worker:
        first = await api.post("/v1/tasks", BODY, headers=KEY)
        async with working(worker, router, discard_states=("complete",)):
            await wait_items(client, "Q", 0)
        repeat = await api.post("/v1/tasks", BODY, headers=KEY)
        assert (repeat.status_code, repeat.json()["id"]) == (200, first.json()["id"])
        assert await count(client) == (0, 0)
    assert runs == [1]


async def test_a_request_is_repeated_after_a_full_queue(api, client):
    await client.create_queue(Queue(name="FULL", max_entries=1))
    blocker = await client.enqueue("t", queue="FULL")
    body = BODY | {"queue": "FULL"}
    assert problem(await api.post("/v1/tasks", body, headers=KEY)) == (503, "unavailable", "queue_full")
    await client.purge_queue("FULL")
    answers = await asyncio.gather(*(api.post("/v1/tasks", body, headers=KEY) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {200}
    assert (await client.queue_info("FULL")).items == 1
    assert {task.id async for task in client.tasks()} == {blocker.id, answers[0].json()["id"]}


async def test_an_id_that_another_task_has_is_refused_with_a_key_too(api, client):
    await client.enqueue("other", task_id="mine")
    response = await api.post("/v1/tasks", BODY | {"id": "mine"}, headers=KEY)
    assert problem(response) == (409, "duplicate", "task_already_exists")
    assert (await client.load("mine")).type == "other"


async def test_a_request_with_a_custom_id_is_repeated_with_its_key(api, client):
    body = BODY | {"id": "mine"}
    answers = [await api.post("/v1/tasks", body, headers=KEY) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert await count(client) == (1, 1)


async def test_keys_are_kept_for_ten_minutes(api, client):
    await api.post("/v1/tasks", BODY, headers=KEY)
    config = (await client.storage.jetstream.call(f"STREAM.INFO.KV_{IDEMPOTENCY_BUCKET}"))["config"]
    assert config["max_age"] == 10 * MINUTE_NS


async def test_a_missing_bucket_is_created(api, client):
    await client.storage.jetstream.call(f"STREAM.DELETE.KV_{IDEMPOTENCY_BUCKET}")
    assert (await api.post("/v1/tasks", BODY, headers=KEY)).status_code == 201
    assert (await api.post("/v1/tasks", BODY, headers=KEY)).status_code == 200


async def test_a_server_that_creates_nothing_reports_a_missing_bucket(server, client):
    async with api_server(server, make=False) as api:
        response = await api.post("/v1/tasks", BODY, headers=KEY)
        assert problem(response) == (503, "unavailable", "storage_not_ready")
        assert await count(client) == (0, 0)
        await client.idempotency.prepare()
        assert (await api.post("/v1/tasks", BODY, headers=KEY)).status_code == 201


# ---- a crash between two steps


class CrashError(Exception):
    """The process ends here."""


async def crash(*_, **__):
    raise CrashError


def crash_unless_first(update):
    async def call(name, value, revision, *more):
        return await (crash() if revision else update(name, value, revision, *more))

    return call


STEPS = [
    pytest.param("reserved", lambda client, _: client.storage.tasks, "save", id="after the reservation"),
    pytest.param("stored", lambda _, bucket: bucket, "update", id="after the task is stored"),  # the second time
    pytest.param("noted", lambda client, _: client.storage.items, "put", id="after that is noted"),
]


@pytest.mark.parametrize(("step", "owner", "method"), STEPS)
async def test_after_a_crash_at_any_step_the_next_request_ends_with_one_task(
    server, client, monkeypatch, step, owner, method
):
    def make(task_id, created_ns):
        return new_task("t", b"1", task_id=task_id, now_ns=created_ns, queue="Q")

    key = Key("", "k", b"request")
    async with Client.connect(server.url, queue="Q") as crashing:
        broken = crashing.idempotency
        await broken.prepare()
        target = owner(crashing, broken._bucket)
        monkeypatch.setattr(target, method, crash_unless_first(target.update) if step == "stored" else crash)
        with pytest.raises(CrashError):
            await broken.enqueue(key, "first", 10**18, make)
    assert await count(client) == ((0, 0) if step == "reserved" else (1, 0))
    idempotency = client.idempotency
    answers = await asyncio.gather(*(idempotency.enqueue(key, f"later-{n}", 2 * 10**18, make) for n in range(3)))
    assert {answer.task.id for answer in answers} == {"first"}
    assert all(answer.repeated for answer in answers)
    assert await count(client) == (1, 1)
    assert parse_timestamp((await client.load("first")).created) == 10**18


async def test_an_item_that_waits_keeps_its_place_when_its_request_is_repeated(api, client):
    await api.post("/v1/tasks", BODY, headers=KEY)
    before = (await client.storage.queues.described("Q"))[0]["state"]["first_seq"]
    bucket = Bucket(client.storage.connection, client.storage.jetstream, IDEMPOTENCY_BUCKET)
    assert len([entry async for entry in bucket.entries()]) == 1
    await api.post("/v1/tasks", BODY, headers=KEY)
    assert (await client.storage.queues.described("Q"))[0]["state"]["first_seq"] == before


async def test_a_foreign_task_is_never_mistaken_for_the_task_of_the_key(client):
    stored = await client.storage.tasks.save(client.new_task("t", task_id="x"), NEVER_STORED)
    changed = msgspec.structs.replace(stored.task, state=TaskState.COMPLETE)
    await client.storage.tasks.save(changed, stored.revision)
    idempotency = client.idempotency
    with pytest.raises(TaskAlreadyExistsError):
        await idempotency.enqueue(
            Key("", "k", b""), "x", 10**18, lambda task_id, _: client.new_task("t", task_id=task_id)
        )


async def test_a_key_works_for_a_task_of_any_year(api):
    body = {"type": "t", "created": "0652-12-04T03:22:02Z"}
    first, second = [await api.post("/v1/tasks", body, headers={"Idempotency-Key": "old"}) for _ in range(2)]
    assert (first.status_code, second.json()["id"]) == (201, first.json()["id"])
