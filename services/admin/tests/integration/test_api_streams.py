"""Streams of the HTTP API: lines of tasks, events, and waiting for results."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import asynccontextmanager

import httpx
import pytest

from ajobs.admin.api import events as events_module
from ajobs.admin.api.events import EventBroadcaster, EventFilter
from ajobs.protocol.subjects import ALL_EVENTS, TASKS_STREAM
from ajobs.testing.workers import working
from ajobs.worker import Router, TerminateTask
from services.admin.tests.integration.api_servers import api_server, problem


@asynccontextmanager
async def watching(api, query=""):
    """Watch events, from when the server says that nothing is missed any more."""
    async with api.http.stream("GET", f"/v1/events{query}") as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream"
        lines = response.aiter_lines()
        assert await anext(lines) == ": ajobs events"
        yield lines


async def next_event(lines) -> dict:
    event: dict = {}
    async with asyncio.timeout(30):
        async for line in lines:
            name, _, value = line.partition(": ")
            if name in {"id", "event"}:
                event[name] = value
            elif name == "data":
                event[name] = json.loads(value)
                return event
    raise AssertionError


async def test_events_come_as_they_happen(api, client):
    async with watching(api) as lines:
        task = await client.enqueue("t", queue="Q")
        event = await next_event(lines)
        assert event["event"] == "task_state"
        assert event["id"] == event["data"]["event_id"]
        assert (event["data"]["task_id"], event["data"]["state"]) == (task.id, "new")


async def test_events_are_filtered(api, client):
    await client.ensure_queue(type(client.queue)(name="OTHER"))
    async with (
        watching(api, "?task_id=mine") as mine,
        watching(api, "?queue=OTHER") as other,
        watching(api, "?type=a") as typed,
        watching(api, "?state=complete&state=blocked") as final,
    ):
        parent = await client.enqueue("b", task_id="first")
        await client.enqueue("b", task_id="mine")
        await client.enqueue("b", queue="OTHER", task_id="there")
        await client.enqueue("a", task_id="typed")
        await client.enqueue("b", depends_on=[parent], task_id="child")
        found = [(await next_event(lines))["data"]["task_id"] for lines in (mine, other, typed, final)]
    assert found == ["mine", "there", "typed", "child"]


async def test_clients_that_watch_everything_receive_leader_events(api, client):
    told = {
        "event_id": "e1", "type": "io.choria.asyncjobs.v1.leader_elected", "timestamp": "2026-01-01T00:00:00Z",
        "name": "a", "component": "c",
    }  # fmt: skip
    event = json.dumps(told, indent=2).encode()  # with line breaks, which would end an event
    async with watching(api) as everything, watching(api, "?queue=Q") as filtered:
        await client.storage.requests.publish("CHORIA_AJ.E.leader_election.c", event)
        told = await next_event(everything)
        assert (told["event"], told["data"]["name"]) == ("leader", "a")
        await client.enqueue("t")
        assert (await next_event(filtered))["event"] == "task_state"


async def test_silence_is_filled_with_comments(server, client):
    async with api_server(server, heartbeat_s=0.05) as api, watching(api) as lines:
        async with asyncio.timeout(30):
            while await anext(lines) != ": still here":
                pass


async def test_all_watchers_share_one_subscription_that_ends_with_the_last(api, client):
    connection = api.server.service.client.storage.connection

    def subscriptions():
        return [each for each in connection.nats._subs.values() if each.subject == ALL_EVENTS]

    assert subscriptions() == []
    task = await client.enqueue("t")
    async with watching(api), watching(api) as lines:
        waiting = asyncio.create_task(api.get(f"/v1/tasks/{task.id}?wait=30s"))
        assert len(subscriptions()) == 1
        await client.enqueue("t")
        await next_event(lines)
        waiting.cancel()
    async with asyncio.timeout(30):
        while subscriptions():
            await asyncio.sleep(0.01)


async def test_a_slow_client_loses_the_oldest_events_and_receives_their_number(client, monkeypatch):
    monkeypatch.setattr(events_module, "BUFFER", 10)
    async with (
        EventBroadcaster.open(client.storage.connection) as hub,
        hub.events(EventFilter()) as slow,
        hub.events(EventFilter(task_id="last")) as other,
    ):
        for number in range(25):
            await client.enqueue("t", task_id=f"task-{number}")
        await client.enqueue("t", task_id="last")
        while not await other.take(10):
            pass
        messages = await slow.take(10)
    assert messages is not None
    assert (messages[0].kind, messages[0].data) == ("lost", b'{"count":16}')
    assert [json.loads(message.data)["task_id"] for message in messages[1:]] == [
        *(f"task-{number}" for number in range(16, 25)), "last",
    ]  # fmt: skip


async def test_a_gap_is_reported_after_the_connection_to_nats_was_lost(server, api, client):
    async with watching(api) as lines:
        await server.restart()
        event = await next_event(lines)
        assert (event["event"], event["data"]) == ("gap", {"reason": "disconnected"})
        await client.enqueue("t", task_id="after")
        while event["data"].get("task_id") != "after":
            event = await next_event(lines)


async def test_lines_are_sent_as_tasks_are_found(api, client):
    await client.enqueue_many(client.new_task("t", "x" * 1_000) for _ in range(2_000))
    async with api.http.stream("GET", "/v1/tasks?stream=ndjson&all=true") as response:
        lines = response.aiter_lines()
        first = json.loads(await anext(lines))
        assert first["type"] == "t"
        rest = [json.loads(line)["id"] async for line in lines]
    assert len({first["id"], *rest}) == 2_000


async def test_a_client_that_leaves_a_stream_leaves_nothing_behind(api, client):
    await client.enqueue_many(client.new_task("t", "x" * 10_000) for _ in range(2_000))
    async with api.http.stream("GET", "/v1/tasks?stream=ndjson&all=true") as response:
        await anext(response.aiter_lines())
    async with asyncio.timeout(30):
        while (await client.storage.find_stream(TASKS_STREAM))["state"]["consumer_count"]:
            await asyncio.sleep(0.02)


async def test_listing_does_not_wait_for_another_listing(api, client):
    await client.enqueue_many(client.new_task("t", "x" * 10_000) for _ in range(1_000))
    async with api.http.stream("GET", "/v1/tasks?stream=ndjson&all=true") as slow:
        await anext(slow.aiter_lines())
        answers = await asyncio.gather(*(api.get("/v1/tasks?limit=5") for _ in range(10)))
        assert {answer.status_code for answer in answers} == {200}


# ---- waiting


async def test_a_result_is_waited_for(api, client):
    router = Router()
    router.add("add", lambda numbers: sum(numbers, 0))
    task = (await api.post("/v1/tasks", {"type": "add", "payload": [1, 2, 3]})).json()
    path = f"/v1/tasks/{task['id']}/result"
    early = await api.get(path)
    assert (early.status_code, early.headers["retry-after"]) == (202, "1")
    assert early.json() == {"id": task["id"], "state": "new", "tries": 0}
    waiting = asyncio.create_task(api.get(f"{path}?wait=30s"))
    async with working(client, router):
        answer = await waiting
    assert answer.status_code == 200
    body = answer.json()
    assert (body["state"], body["payload"], body["tries"]) == ("complete", 6, 1)
    whole = (await api.get(f"/v1/tasks/{task['id']}")).json()
    assert whole["result"] == {"payload": 6, "completed": body["completed"]}


async def test_waiting_ends_after_the_given_time(api, client):
    task = await client.enqueue("nobody")
    answer = await api.get(f"/v1/tasks/{task.id}?wait=50ms")
    assert (answer.status_code, answer.json()["state"]) == (200, "new")
    assert (await api.get(f"/v1/tasks/{task.id}/result?wait=50ms")).status_code == 202


async def test_a_task_that_failed_has_no_result(api, client):
    def fail() -> None:
        raise TerminateTask("permanent failure")

    router = Router()
    router.add("fail", fail)
    task = await client.enqueue("fail")
    async with working(client, router):
        answer = await api.get(f"/v1/tasks/{task.id}/result?wait=30s")
    assert problem(answer) == (424, "dependency_failed", "task_failed")
    assert "permanent failure" in answer.json()["error"]["message"]


async def test_many_wait_at_once(api, client):
    router = Router()
    router.add("t", lambda: "done")
    tasks = [await client.enqueue("t") for _ in range(50)]
    waiting = [asyncio.create_task(api.get(f"/v1/tasks/{task.id}/result?wait=30s")) for task in tasks for _ in range(2)]
    async with working(client, router):
        answers = await asyncio.gather(*waiting)
    assert {answer.json()["payload"] for answer in answers} == {"done"}


async def test_stopping_ends_streams_and_waits_in_order(server, client):
    task = await client.enqueue("nobody")
    async with api_server(server) as api:
        waiting = asyncio.create_task(api.get(f"/v1/tasks/{task.id}?wait=10m"))
        async with watching(api) as lines:
            hub = api.server.service.events
            while not hub._waiting:
                await asyncio.sleep(0.01)
            api.server.stop()
            assert [line async for line in lines if line.startswith("data")] == []
        assert (await waiting).json()["state"] == "new"
        await api.server.ended()
        with pytest.raises(httpx.TransportError):
            await api.get("/healthz")


# ---- while NATS is away


async def test_without_nats_the_response_is_503_at_once_and_the_server_recovers(server, api, client):
    task = (await api.post("/v1/tasks", {"type": "t"})).json()
    server.kill()
    async with asyncio.timeout(30):
        while (await api.get("/readyz")).status_code != 503:
            await asyncio.sleep(0.01)
    for answer in (
        await api.get("/v1/tasks"),
        await api.get(f"/v1/tasks/{task['id']}"),
        await api.post("/v1/tasks", {"type": "t"}),
        await api.get("/v1/queues"),
        await api.get("/v1/events"),
    ):
        assert problem(answer) == (503, "unavailable", "storage_not_ready")
        assert answer.headers["retry-after"] == "1"
    assert (await api.get("/healthz")).status_code == 200
    await server.start()
    async with asyncio.timeout(60):
        while (await api.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.05)
    assert (await api.get(f"/v1/tasks/{task['id']}")).json()["state"] == "new"
    assert (await api.post("/v1/tasks", {"type": "t"})).status_code == 201


async def test_a_stream_that_cannot_continue_is_aborted_visibly(server, api, client, caplog):
    await client.enqueue_many(client.new_task("t", "x" * 20_000) for _ in range(1_000))

    async def read() -> None:
        async with api.http.stream("GET", "/v1/tasks?stream=ndjson&all=true") as response:
            async for _ in response.aiter_lines():
                server.kill()

    with pytest.raises(httpx.TransportError):
        await read()
    assert "response aborted" in caplog.text
    assert "Traceback" not in caplog.text


async def test_a_nats_server_that_hangs_is_a_503(server, api, client):
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(25):
            answer = await api.post("/v1/tasks", {"type": "t"})
            assert problem(answer) == (503, "unavailable", "request_timeout")
    finally:
        os.kill(server.pid, signal.SIGCONT)
