"""Each route of the HTTP API, over a real socket."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from ajobs.client import TaskState
from ajobs.client.storage.jetstream.buckets import Bucket
from ajobs.client.storage.workers import workers_bucket
from ajobs.protocol.codec import encode
from ajobs.protocol.durations import HOUR_NS, MINUTE_NS
from ajobs.protocol.presence import WorkerPresence, WorkerQueue
from ajobs.protocol.subjects import ELECTIONS_BUCKET
from ajobs.protocol.timestamps import format_timestamp
from ajobs.testing.workers import working
from ajobs.worker import Router
from services.admin.tests.integration.api_servers import api_server, problem

TASK = {"type": "email:new", "payload": {"to": "ann"}}


async def created(api, **more):
    response = await api.post("/v1/tasks", TASK | more)
    assert response.status_code == 201, response.text
    return response.json()


# ---- health and information


async def test_the_liveness_check_succeeds(api):
    response = await api.get("/healthz")
    assert response.status_code == 200
    body = response.json()
    assert body["status"] == "ok"
    assert datetime.fromisoformat(body["time"])


async def test_the_readiness_check_succeeds(api):
    response = await api.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"ready": True, "checks": {"tasks": {"ok": True}, "config": {"ok": True}}}


async def test_a_server_without_its_stores_is_not_ready_and_reports_why(server):
    async with api_server(server, make=False) as api:
        response = await api.get("/readyz")
        assert response.status_code == 503
        body = response.json()
        assert body["ready"] is False
        assert body["checks"]["tasks"] == {"ok": False, "error": "stream CHORIA_AJ_TASKS does not exist"}
        assert problem(await api.get("/v1/tasks")) == (503, "unavailable", "storage_not_ready")
        assert problem(await api.get("/v1/info")) == (503, "unavailable", "storage_not_ready")


async def test_the_server_describes_itself(api):
    await created(api)
    body = (await api.get("/v1/info")).json()
    assert body["auth"] == "none"
    assert (body["queue_count"], body["task_count"], body["default_queue"]) == (1, 1, "Q")
    assert body["features"]["idempotency"] is True


async def test_retry_policies_are_listed_in_nanoseconds(api):
    policies = {policy["name"]: policy for policy in (await api.get("/v1/retry-policies")).json()["policies"]}
    assert set(policies) == {"default", "10m", "1h", "1m"}
    assert policies["default"]["intervals"][0] == MINUTE_NS
    assert (len(policies["1m"]["intervals"]), policies["1m"]["jitter"]) == (20, 0.5)


async def test_the_task_store_is_described_and_changed(api):
    await created(api)
    before = (await api.get("/v1/store")).json()
    assert (before["tasks"], before["replicas"], before["retention"], before["memory"]) == (1, 1, 0, False)
    changed = await api.patch("/v1/store", {"retention": "24h"})
    assert changed.status_code == 200
    assert changed.json()["retention"] == 24 * HOUR_NS
    assert problem(await api.patch("/v1/store", {"replicas": 3})) == (400, "invalid_argument", "settings_refused")


async def test_workers_and_leaders_are_listed(api, client):
    assert (await api.get("/v1/workers")).json() == {"workers": []}
    assert (await api.get("/v1/leaders")).json() == {"leaders": {}}
    bucket = await workers_bucket(client.storage, client.options, create=True)
    now = format_timestamp(time.time_ns())
    told = WorkerPresence(
        id="1", name="mailer", host="h", pid=1, version="1", state="running", started=now, updated=now,
        concurrency=5, queues=(WorkerQueue(name="Q", concurrency=5),), handlers=("email",),
    )  # fmt: skip
    await bucket.put("1", encode(told))
    (worker,) = (await api.get("/v1/workers")).json()["workers"]
    assert (worker["name"], worker["queues"][0]["name"], worker["handlers"]) == ("mailer", "Q", ["email"])
    elections = Bucket(client.storage.connection, client.storage.jetstream, ELECTIONS_BUCKET)
    await elections.put("task_scheduler", b"one")
    assert (await api.get("/v1/leaders")).json() == {"leaders": {"task_scheduler": "one"}}


async def test_metrics_have_the_routes_of_requests_and_not_their_paths(api):
    task = await created(api)
    await api.get(f"/v1/tasks/{task['id']}")
    response = await api.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    line = 'choria_asyncjobs_http_requests_total{method="GET",route="/v1/tasks/{id}",status="200"}'
    assert line in response.text
    assert task["id"] not in response.text


async def test_the_document_and_the_page_are_served_and_need_no_other_host(api):
    document = (await api.get("/v1/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    page = await api.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text
    assert "https://" not in page.text
    assert f"curl {api.server.url}/v1/tasks" in page.text  # an example to copy
    assert "Authorization: Bearer $TOKEN" not in page.text  # this server has no tokens
    assert all(path in page.text for path in document["paths"])


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("jobs.example.net:81", "jobs.example.net:81"),
        ("[::1]:81", "[::1]:81"),
        ("x;rm", None),
        ("$(x)", None),
        ("<b>", None),
    ],
)
async def test_examples_of_the_page_use_the_host_of_the_reader_if_it_is_one(api, host, shown):
    page = (await api.get("/docs", headers={"Host": host})).text
    expected = shown or str(api.server.service.options.bind)
    assert f"curl http://{expected}/v1/info</pre>" in page


# ---- tasks


async def test_a_task_is_created_found_and_deleted(api, client):
    response = await api.post("/v1/tasks", TASK)
    assert response.status_code == 201
    task = response.json()
    assert response.headers["location"] == f"/v1/tasks/{task['id']}"
    assert (task["type"], task["queue"], task["state"], task["max_tries"]) == ("email:new", "Q", "new", 10)
    assert json.loads(base64.b64decode(task["payload"])) == {"to": "ann"}
    assert (await client.queue_info("Q")).items == 1
    assert (await api.get(response.headers["location"])).json() == task
    assert (await api.delete(f"/v1/tasks/{task['id']}")).status_code == 204
    assert problem(await api.get(f"/v1/tasks/{task['id']}")) == (404, "not_found", "task_not_found")
    assert problem(await api.delete(f"/v1/tasks/{task['id']}")) == (404, "not_found", "task_not_found")


async def test_a_task_has_all_given_fields(api, client):
    parent = await created(api)
    deadline = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.123456789Z")
    task = await created(
        api, deadline=deadline, max_tries=3, dependencies=[parent["id"]], load_dependencies=True, id="mine"
    )
    assert (task["id"], task["state"], task["deadline"], task["max_tries"]) == ("mine", "blocked", deadline, 3)
    assert (task["dependencies"], task["load_dependencies"]) == ([parent["id"]], True)
    stored = await client.load("mine")
    assert (stored.deadline, stored.payload) == (deadline, b'{"to":"ann"}')


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"payload": {"big": 12345678901234567890123}}, b'{"big":12345678901234567890123}'),
        ({"payload": None}, b"null"),
        ({"payload_base64": base64.b64encode(b"\x00\xff").decode()}, b"\x00\xff"),
        ({}, None),
    ],
)
async def test_a_payload_arrives_unchanged(api, client, given, stored):
    response = await api.http.post(
        "/v1/tasks",
        content=json.dumps({"type": "t", **given}, separators=(",", ":")),
        headers={"Content-Type": "application/json"},
    )
    assert response.status_code == 201
    assert (await client.load(response.json()["id"])).payload == stored
    assert base64.b64decode(response.json()["payload"]) == (stored or b"")


async def test_a_task_goes_to_the_queue_that_its_body_names(api, client):
    assert (await api.post("/v1/queues", {"name": "OTHER"})).status_code == 201
    assert (await created(api, queue="OTHER"))["queue"] == "OTHER"
    assert (await client.queue_info("OTHER")).items == 1
    assert problem(await api.post("/v1/tasks", TASK | {"queue": "NONE"})) == (404, "not_found", "queue_not_found")
    assert len([task async for task in client.tasks()]) == 1


async def test_a_task_is_retried(api, client):
    router = Router()
    router.add("email:new", lambda: 1)
    task = await created(api)
    async with working(client, router):
        await client.wait(task["id"], timeout=30)
    response = await api.post(f"/v1/tasks/{task['id']}/retry")
    assert response.status_code == 200
    assert (response.json()["state"], response.json()["tries"]) == ("retry", 0)
    assert problem(await api.post("/v1/tasks/nothing/retry")) == (404, "not_found", "task_not_found")
    assert (await api.post("/v1/queues", {"name": "OTHER"})).status_code == 201
    moved = await api.post(f"/v1/tasks/{task['id']}/retry?queue=OTHER")
    assert moved.json()["queue"] == "OTHER"


async def test_an_active_task_is_retried_only_by_force(api, client):
    stored = await client.storage.tasks.load((await created(api))["id"])
    active = {"state": TaskState.ACTIVE, "tried": stored.task.created, "tries": 1}
    await client.storage.tasks.save(msgspec.structs.replace(stored.task, **active), stored.revision)
    path = f"/v1/tasks/{stored.task.id}/retry"
    assert problem(await api.post(path)) == (409, "conflict", "task_already_active")
    assert (await api.post(f"{path}?force=true")).status_code == 200


async def test_a_bulk_retry_reports_the_outcome_of_each_task(api):
    first, second = await created(api), await created(api)
    ids = [first["id"], "nothing", second["id"], "not a name"]
    response = await api.post("/v1/tasks/retry", {"ids": ids})
    assert response.status_code == 200
    results = response.json()["results"]
    assert [(result["id"], result["status"]) for result in results] == list(
        zip(ids, ["ok", "not_found", "ok", "failed"], strict=True)
    )
    assert all(("error" in result) == (result["status"] != "ok") for result in results)


async def test_a_bulk_create_reports_the_outcome_of_each_task(api, client):
    past = "2020-01-01T00:00:00Z"
    tasks = [TASK, TASK | {"queue": "NONE"}, TASK | {"id": "mine"}, TASK | {"deadline": past}]
    body = (await api.post("/v1/tasks/bulk", {"tasks": tasks})).json()
    assert (body["enqueued"], body["failed"]) == (2, 2)
    assert [result["status"] for result in body["results"]] == ["ok", "failed", "ok", "failed"]
    assert body["results"][1]["error"]["reason"] == "queue_not_found"
    assert body["results"][2]["id"] == "mine"
    assert body["results"][3]["error"]["reason"] == "task_past_deadline"
    unreadable = await api.post("/v1/tasks/bulk", {"tasks": [TASK, TASK | {"payload": 1, "payload_base64": "AA=="}]})
    assert problem(unreadable) == (400, "invalid_argument", "payload_both_set")
    assert unreadable.json()["error"]["details"]["field"] == "tasks[1].payload"
    repeated = {"tasks": [TASK | {"id": "mine"}, TASK | {"id": "mine", "payload": "other"}]}
    again = (await api.post("/v1/tasks/bulk", repeated)).json()
    assert [result["status"] for result in again["results"]] == ["ok", "failed"]
    assert again["results"][1]["error"]["reason"] == "task_already_exists"
    assert (await client.queue_info("Q")).items == 2


async def test_tasks_are_retried_and_deleted_by_filters(api, client):
    for number in range(5):
        await created(api, type="a" if number < 3 else "b")
    body = (await api.post("/v1/tasks/retry-matching", {"states": ["new"], "type": "a", "limit": 2})).json()
    assert body == {"selected": 2, "done": 2, "failed": [], "more": True}
    assert len([task async for task in client.tasks(states=[TaskState.RETRY])]) == 2
    body = (await api.post("/v1/tasks/delete-matching", {"states": ["new", "retry"], "type": "a"})).json()
    assert body == {"selected": 3, "done": 3, "failed": [], "more": False}
    assert {task.type async for task in client.tasks()} == {"b"}


async def test_all_tasks_are_deleted_only_when_that_is_confirmed(api):
    await created(api)
    assert problem(await api.post("/v1/tasks/purge"))[2] == "confirmation_required"
    assert (await api.get("/v1/tasks")).json()["count"] == 1
    response = await api.post("/v1/tasks/purge", headers={"X-Confirm": "purge"})
    assert response.json() == {"purged": 1}


# ---- lists


async def test_tasks_are_listed_with_filters_before_the_limit(api):
    first = await created(api, type="a")
    for _ in range(3):
        await created(api, type="b")
    body = (await api.get("/v1/tasks")).json()
    assert body["count"] == len(body["tasks"]) == 4
    assert body["tasks"][0] == first
    assert (await api.get("/v1/tasks", params={"type": "b", "limit": 2})).json()["count"] == 2
    assert (await api.get("/v1/tasks", params={"state": ["complete", "new"], "queue": "Q"})).json()["count"] == 4
    assert (await api.get("/v1/tasks?state=complete")).json() == {"tasks": [], "count": 0}
    assert (await api.get("/v1/tasks?queue=OTHER")).json()["count"] == 0
    after = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert (await api.get("/v1/tasks", params={"created_since": after})).json()["count"] == 0
    assert (await api.get("/v1/tasks", params={"created_since": first["created"], "type": "a"})).json()["count"] == 1


async def test_pages_of_tasks_follow_one_another(api):
    ids = [(await created(api))["id"] for _ in range(7)]
    seen, cursor = [], {}
    for _ in range(3):
        body = (await api.get("/v1/tasks", params={"limit": 3} | cursor)).json()
        seen += [task["id"] for task in body["tasks"]]
        cursor = {"cursor": body.get("next_cursor")}
    assert seen == ids
    assert cursor == {"cursor": None}


async def test_tasks_come_as_lines(api):
    ids = [(await created(api))["id"] for _ in range(5)]
    response = await api.get("/v1/tasks?stream=ndjson&limit=3")
    assert response.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line)["id"] for line in response.text.splitlines()] == ids[:3]
    response = await api.get("/v1/tasks?stream=ndjson&all=true")
    assert [json.loads(line)["id"] for line in response.text.splitlines()] == ids


# ---- queues


async def test_a_queue_is_created_changed_and_deleted(api, client):
    response = await api.post(
        "/v1/queues",
        {"name": "EMAIL", "max_age": "1h30m", "max_entries": 9, "discard_old": True, "max_tries": 5,
         "max_runtime": "90s", "max_concurrent": 7},
    )  # fmt: skip
    assert response.status_code == 201
    body = response.json()
    assert body["max_age"] == HOUR_NS + 30 * MINUTE_NS
    assert (body["max_entries"], body["discard_old"], body["max_tries"]) == (9, True, 5)
    assert (body["max_runtime"], body["max_concurrent"], body["items"]) == (90 * 10**9, 7, 0)
    assert {"stream", "consumer", "stream_info", "consumer_info"}.isdisjoint(body)
    assert problem(await api.post("/v1/queues", {"name": "EMAIL"})) == (409, "duplicate", "queue_already_exists")
    changed = (await api.patch("/v1/queues/EMAIL", {"max_concurrent": 8, "max_age": "2h"})).json()
    assert (changed["max_concurrent"], changed["max_age"], changed["max_tries"]) == (8, 2 * HOUR_NS, 5)
    assert [queue["name"] for queue in (await api.get("/v1/queues")).json()["queues"]] == ["EMAIL", "Q"]
    assert (await api.get("/v1/queues/EMAIL")).json()["name"] == "EMAIL"
    assert (await api.delete("/v1/queues/EMAIL")).status_code == 204
    for answer in (
        await api.get("/v1/queues/EMAIL"),
        await api.delete("/v1/queues/EMAIL"),
        await api.post("/v1/queues/EMAIL/purge"),
        await api.post("/v1/queues/EMAIL/pause"),
        await api.post("/v1/queues/EMAIL/resume"),
        await api.patch("/v1/queues/EMAIL", {"max_tries": 1}),
    ):
        assert problem(answer) == (404, "not_found", "queue_not_found")


async def test_a_queue_is_purged(api, client):
    await created(api)
    response = await api.post("/v1/queues/Q/purge")
    assert (response.status_code, response.content) == (202, b"")
    assert (await client.queue_info("Q")).items == 0


async def test_a_queue_is_paused_and_resumed(api):
    paused = (await api.post("/v1/queues/Q/pause?duration=1h")).json()
    until = datetime.fromisoformat(paused["paused_until"])
    assert timedelta(minutes=50) < until - datetime.now(UTC) < timedelta(minutes=70)
    assert "paused_until" in (await api.get("/v1/queues/Q")).json()
    resumed = (await api.post("/v1/queues/Q/resume")).json()
    until = resumed.get("paused_until")
    assert until is None or datetime.fromisoformat(until) - datetime.now(UTC) < timedelta(seconds=1)


async def test_the_default_queue_is_only_created_where_that_is_allowed(server):
    async with api_server(server, queue="DEFAULT") as api:
        refused = await api.post("/v1/queues", {"name": "DEFAULT"})
        assert problem(refused) == (400, "invalid_argument", "default_queue_disallowed")
        assert problem(await api.post("/v1/tasks", TASK)) == (404, "not_found", "queue_not_found")
        assert (await api.get("/v1/queues")).json() == {"queues": []}
    async with api_server(server, queue="DEFAULT", allow_create_default=True) as api:
        assert (await api.post("/v1/tasks", TASK)).json()["queue"] == "DEFAULT"
        assert (await api.get("/v1/queues/DEFAULT")).json()["max_tries"] == 100
        assert (await api.delete("/v1/queues/DEFAULT")).status_code == 204
        assert (await api.post("/v1/queues", {"name": "DEFAULT"})).status_code == 201


# ---- schedules

SCHEDULE = {"name": "nightly", "schedule": "0 2 * * *", "queue": "Q", "task_type": "report:new"}


async def test_a_schedule_is_created_changed_and_deleted(api):
    response = await api.post("/v1/schedules", SCHEDULE | {"payload": [1], "deadline_offset": "5m", "max_tries": 4})
    assert response.status_code == 201
    body = response.json()
    assert {key: body[key] for key in SCHEDULE} == SCHEDULE
    assert (base64.b64decode(body["payload"]), body["deadline"], body["max_tries"]) == (b"[1]", 5 * MINUTE_NS, 4)
    assert datetime.fromisoformat(body["next_run"]).hour == 2
    assert (await api.get("/v1/schedules/nightly")).json() == body
    assert (await api.get("/v1/schedules")).json()["schedules"] == [body]
    duplicate = await api.post("/v1/schedules", SCHEDULE)
    assert problem(duplicate) == (409, "duplicate", "schedule_already_exists")
    changes = {"schedule": "@hourly", "task_type": "other", "jitter": "10s", "catch_up": "all", "deadline_offset": "0s"}
    changed = (await api.patch("/v1/schedules/nightly", changes)).json()
    assert (changed["schedule"], changed["task_type"], changed["catch_up"]) == ("@hourly", "other", "all")
    assert (changed["jitter"], changed.get("deadline", 0), changed["max_tries"]) == (10 * 10**9, 0, 4)
    assert (await api.delete("/v1/schedules/nightly")).status_code == 204
    for answer in (
        await api.get("/v1/schedules/nightly"),
        await api.delete("/v1/schedules/nightly"),
        await api.patch("/v1/schedules/nightly", {"paused": True}),
        await api.post("/v1/schedules/nightly/run"),
        await api.post("/v1/schedules/nightly/pause"),
        await api.get("/v1/schedules/nightly/next"),
    ):
        assert problem(answer) == (404, "not_found", "schedule_not_found")


async def test_a_schedule_is_paused_resumed_and_run_now(api, client):
    await api.post("/v1/schedules", SCHEDULE)
    runs = (await api.get("/v1/schedules/nightly/next?count=3")).json()["next"]
    assert len(runs) == len(set(runs)) == 3
    assert (await api.post("/v1/schedules/nightly/pause")).json()["paused"] is True
    assert (await api.get("/v1/schedules/nightly/next")).json()["next"] == []
    assert (await api.post("/v1/schedules/nightly/resume")).json()["paused"] is False
    response = await api.post("/v1/schedules/nightly/run")
    assert response.status_code == 201
    task = await client.load(response.json()["id"])
    assert (task.type, task.queue, response.headers["location"]) == ("report:new", "Q", f"/v1/tasks/{task.id}")


async def test_a_schedule_that_is_never_due_is_an_error(api):
    response = await api.post("/v1/schedules", SCHEDULE | {"schedule": "0 0 30 2 *"})
    assert response.status_code in {201, 400}
    if response.status_code == 400:
        assert problem(response) == (400, "invalid_argument", "schedule_invalid")
    else:
        assert "next_run" not in response.json()
