"""Remote handlers: worker and service together, and each against the bare protocol."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta

import msgspec
import nats
import pytest

from ajobs.client import Client, Queue, TaskState
from ajobs.protocol.codec import encode
from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.signing import Signer, sign_task
from ajobs.protocol.task import new_task
from ajobs.testing.workers import working
from ajobs.worker import Context, RetryTask, Router, TerminateTask, remote_service

SEED = bytes(range(32))


@pytest.fixture
async def client(server):
    queue = Queue(name="Q", max_run_time=20)
    async with Client.connect(server.url, queue=queue) as connected:
        yield connected


@pytest.fixture
async def bare(server):
    connection = await nats.connect(server.url)
    yield connection
    await connection.close()


def asking(task_type: str = "remote", **options) -> Router:
    router = Router()
    router.remote(task_type, **options)
    return router


async def ended(client: Client, router: Router, payload=None, *, task_type: str = "remote"):
    async with working(client, router):
        return await client.wait((await client.enqueue(task_type, payload, max_tries=1)).id, timeout=30)


def result(task):
    return json.loads(bytes(task.result.payload))


# ---- the worker, against the bare protocol


def answering(data: bytes = b"", **headers: str):
    async def answer(message):
        await message._client.publish(message.reply, data, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return answer


async def test_the_request_equals_that_of_go(client, bare):
    requests = []

    async def answer(message):
        requests.append(message)
        await message.respond(b"raw answer")

    await bare.subscribe("CHORIA_AJ.H.T.remote", cb=answer)
    await bare.flush()
    task = await ended(client, asking(), {"a": 1})
    assert result(task) == "cmF3IGFuc3dlcg=="
    (request,) = requests
    assert request.headers["AJ-Content-Type"] == "application/x-asyncjobs-task+json"
    deadline = datetime.strptime(request.headers["AJ-Handler-Deadline"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert 14 <= deadline.timestamp() - task.tried_time.timestamp() <= 18
    document = json.loads(request.data)
    assert (document["id"], document["state"], document["tries"]) == (task.id, "active", 1)


async def test_an_answer_may_be_decoded(client, bare):
    await bare.subscribe("CHORIA_AJ.H.T.remote", cb=answering(b'{"b":2}'))
    await bare.flush()
    assert result(await ended(client, asking(decode=True))) == {"b": 2}


@pytest.mark.parametrize(
    ("headers", "data", "state", "error"),
    [
        ({"AJ_Error": "it failed"}, b"", TaskState.EXPIRED, "it failed"),
        ({"AJ_Terminate": "permanent failure"}, b"", TaskState.TERMINATED, "permanent failure"),
        (
            {"AJ_Terminate": "permanent failure", "AJ_Error": "it failed"},
            b"data",
            TaskState.TERMINATED,
            "permanent failure",
        ),
    ],
    ids=str,
)
async def test_headers_of_the_answer_decide_the_outcome(client, bare, headers, data, state, error):
    await bare.subscribe("CHORIA_AJ.H.T.remote", cb=answering(data, **headers))
    await bare.flush()
    task = await ended(client, asking())
    assert (task.state, task.last_err) == (state, error)


async def test_an_answer_that_is_not_json_fails_the_try_with_decode(client, bare):
    await bare.subscribe("CHORIA_AJ.H.T.remote", cb=answering(b"{"))
    await bare.flush()
    assert "is not valid JSON" in (await ended(client, asking(decode=True))).last_err


async def test_the_catch_all_sends_to_its_own_subject(client, bare):
    await bare.subscribe("CHORIA_AJ.H.T.catchall", cb=answering(b"1"))
    await bare.flush()
    assert result(await ended(client, asking(""), task_type="anything")) == "MQ=="


async def test_without_a_service_the_try_fails_and_a_later_one_can_succeed(client, bare):
    router = asking()
    async with working(client, router):
        task = await client.enqueue("remote")
        async with client.watch(task.id) as events:
            async for event in events:
                if event.state is TaskState.RETRY:
                    assert "no service is listening" in event.last_error
                    break
        await bare.subscribe("CHORIA_AJ.H.T.remote", cb=answering(b"1"))
        await bare.flush()
        assert await client.result(task.id, timeout=30) == "MQ=="


@pytest.mark.parametrize(("run_time_s", "error"), [(2, "less than 3 s left"), (4, "max run time|in time")])
async def test_a_late_or_missing_answer_fails_the_try(server, bare, run_time_s, error):
    async def late(_):
        await asyncio.Event().wait()

    await bare.subscribe("CHORIA_AJ.H.T.remote", cb=late)
    await bare.flush()
    queue = Queue(name="Q", max_run_time=run_time_s)
    async with Client.connect(server.url, queue=queue) as client:
        task = await ended(client, asking())
    assert task.state is TaskState.EXPIRED
    assert any(text in task.last_err for text in error.split("|"))


# ---- the service, against the bare protocol


@pytest.fixture
def serving():
    router = Router()

    @router.handler("text")
    async def text(payload: str, context: Context) -> str:
        assert timedelta(0) < context.remaining < timedelta(seconds=60)
        return payload.upper()

    @router.handler("raw")
    def raw(data: bytes) -> bytes:
        return data + b"\x00"

    @router.handler("nothing")
    async def nothing() -> None: ...

    @router.handler("fail")
    async def fail() -> None:
        raise ValueError("it\nfailed, \N{SNOWMAN}")

    @router.handler("later")
    async def later() -> None:
        raise RetryTask("later", after=60)

    @router.handler("terminate")
    async def terminate() -> None:
        raise TerminateTask("permanent failure")

    @router.handler("hang")
    async def hang() -> None:
        await asyncio.Event().wait()

    @router.handler("longer")
    async def longer(context: Context) -> None:
        await context.in_progress()

    @router.handler("large")
    async def large() -> bytes:
        return bytes(2_000_000)

    return router


async def ask(bare, task_type, payload=None, *, seconds: float = 10, deadline: str | None = None, signed=False):
    task = new_task(task_type, payload, task_id="a", now_ns=time.time_ns(), queue="Q")
    if signed:
        task = sign_task(task, Signer(SEED))
    moment = datetime.fromtimestamp(time.time() + seconds, UTC)
    headers = {"AJ-Handler-Deadline": moment.isoformat() if deadline is None else deadline}
    subject = f"CHORIA_AJ.H.T.{task_type}"
    return await bare.request(subject, encode(task), timeout=30, headers=headers)


@pytest.mark.parametrize(
    ("task_type", "payload", "data", "headers"),
    [
        ("text", b'"a"', b'"A"', None),
        ("raw", b"\x01", b"\x01\x00", None),
        ("nothing", None, b"", None),
        ("fail", None, b"", {"AJ-Error": "it failed, \\u2603"}),
        ("later", None, b"", {"AJ-Error": "later"}),
        ("terminate", None, b"", {"AJ-Terminate": "permanent failure"}),
        ("text", b"3", b"", {"AJ-Terminate": "the payload does not fit: Expected `str`, got `int`"}),
        ("longer", None, b"", {"AJ-Error": "a remote handler cannot extend its run: only the worker that passed the task on can"}),  # noqa: E501
        ("large", None, b"", {"AJ-Terminate": "the result of 2000000 bytes exceeds the server's max_payload"}),
    ],
)  # fmt: skip
async def test_go_understands_the_answer(server, bare, serving, task_type, payload, data, headers):  # noqa: PLR0917
    async with remote_service(serving, server.url):
        answer = await ask(bare, task_type, payload)
    assert (answer.data, answer.headers) == (data, headers)


@pytest.mark.parametrize(
    ("seconds", "deadline", "error"),
    [
        (-1, None, "after its deadline"),
        (0.2, None, "max run time"),
        (0, "soon", "AJ-Handler-Deadline"),
        (0, "", "AJ-Handler-Deadline"),
    ],
)
async def test_the_deadline_of_a_request_limits_the_handler(server, bare, serving, seconds, deadline, error):
    async with remote_service(serving, server.url):
        answer = await ask(bare, "hang", seconds=seconds, deadline=deadline)
    assert error in answer.headers["AJ-Error"]


async def test_a_request_without_a_valid_task_fails(server, bare, serving):
    async with remote_service(serving, server.url):
        answer = await bare.request("CHORIA_AJ.H.T.text", b"{", timeout=30)
    assert "corrupt" in answer.headers["AJ-Error"]


async def test_tasks_without_the_required_signature_are_refused(server, bare, serving):
    key = Signer(SEED).public_key_hex
    async with remote_service(serving, server.url, verification_key=key):
        assert "signature" in (await ask(bare, "text", b'"a"')).headers["AJ-Terminate"]
        assert (await ask(bare, "text", b'"a"', signed=True)).data == b'"A"'


async def test_a_service_without_handlers_is_refused(server):
    with pytest.raises(ConfigurationError, match="no handler"):
        async with remote_service(Router(), server.url):
            pass


# ---- worker and service together


async def test_both_ends_work_together_and_share_the_requests(server, client):
    handled: list[int] = []

    def service(number: int) -> Router:
        router = Router()

        @router.handler("remote")
        async def double(payload: int) -> int:
            handled.append(number)
            await asyncio.sleep(0)
            return payload * 2

        return router

    serving = remote_service(service(1), server.url), remote_service(service(2), server.url)
    async with serving[0], serving[1], working(client, asking(decode=True)):
        tasks = [await client.enqueue("remote", n) for n in range(50)]
        assert [await client.result(task.id, timeout=30) for task in tasks] == [2 * n for n in range(50)]
    assert len(handled) == 50
    assert set(handled) == {1, 2}


async def test_a_stopping_service_answers_the_requests_that_it_has(server, bare):
    router = Router()
    began, go = asyncio.Event(), asyncio.Event()

    @router.handler("slow")
    async def slow() -> str:
        began.set()
        await go.wait()
        return "done"

    async with remote_service(router, server.url):
        asked = asyncio.create_task(ask(bare, "slow"))
        await began.wait()
        asyncio.get_running_loop().call_later(0.05, go.set)
    assert (await asked).data == b'"done"'


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"state": TaskState.COMPLETE}, "is complete: it is not run again"),
        ({"state": TaskState.TERMINATED}, "is terminated: it is not run again"),
        ({"deadline": "2022-02-02T13:04:26Z"}, "is past its deadline of 2022-02-02T13:04:26Z"),
    ],
    ids=str,
)
async def test_a_copy_of_an_old_request_is_refused(server, bare, serving, fields, reason):
    task = new_task("text", b'"a"', task_id="a", now_ns=time.time_ns(), queue="Q")
    task = sign_task(msgspec.structs.replace(task, **fields), Signer(SEED))
    moment = datetime.fromtimestamp(time.time() + 10, UTC)
    async with remote_service(serving, server.url, verification_key=Signer(SEED).public_key_hex):
        answer = await bare.request(
            "CHORIA_AJ.H.T.text", encode(task), timeout=30, headers={"AJ-Handler-Deadline": moment.isoformat()}
        )
    assert reason in answer.headers["AJ-Terminate"]
