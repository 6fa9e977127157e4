"""What the HTTP API answers to mistakes: a reason for each, never a 5xx, and no endless wait for a slow client."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from ajobs.admin.api.tokens import Scope, new_token
from ajobs.client import Client, Queue
from ajobs.client.storage.jetstream.publish import Message, publish_patiently
from ajobs.protocol.signing import Signer, sign_task
from ajobs.protocol.task import new_task
from ajobs.protocol.timestamps import parse_timestamp
from services.admin.tests.integration.api_servers import api_server, problem

JSON = {"Content-Type": "application/json"}
LONG = "x" * 201
SCHEDULE = {"name": "s", "schedule": "@daily", "queue": "Q", "task_type": "t"}


MISTAKES = [
    ("POST", "/v1/tasks", {}, "task_type_invalid", "type"),
    ("POST", "/v1/tasks", {"type": ""}, "task_type_invalid", "type"),
    ("POST", "/v1/tasks", {"type": "no spaces"}, "task_type_invalid", "type"),
    ("POST", "/v1/tasks", {"type": "ends\n"}, "name_invalid", None),
    ("POST", "/v1/tasks", {"type": LONG}, "task_type_invalid", "type"),
    ("POST", "/v1/tasks", {"type": 5}, "task_type_invalid", "type"),
    ("POST", "/v1/tasks", {"type": "t", "id": "a.b"}, "task_id_invalid", "id"),
    ("POST", "/v1/tasks", {"type": "t", "queue": "a*"}, "queue_name_invalid", "queue"),
    ("POST", "/v1/tasks", {"type": "t", "payload": 1, "payload_base64": "AA=="}, "payload_both_set", "payload"),
    ("POST", "/v1/tasks", {"type": "t", "payload_base64": "?"}, "invalid_json", "payload_base64"),
    ("POST", "/v1/tasks", {"type": "t", "max_tries": 0}, "invalid_json", "max_tries"),
    ("POST", "/v1/tasks", {"type": "t", "max_tries": 2**70}, "invalid_json", "max_tries"),
    ("POST", "/v1/tasks", {"type": "t", "deadline": "tomorrow"}, "invalid_timestamp", "deadline"),
    ("POST", "/v1/tasks", {"type": "t", "deadline": "9999-12-31T23:59:59-23:59"}, "invalid_timestamp", "deadline"),
    ("POST", "/v1/tasks", {"type": "t", "dependencies": ["a b"]}, "task_id_invalid", "dependencies[0]"),
    ("POST", "/v1/tasks", {"type": "t", "id": "x", "dependencies": ["x"]}, "configuration_invalid", None),
    ("POST", "/v1/tasks", {"type": "t", "paylod": 1}, "invalid_json", "paylod"),
    ("POST", "/v1/tasks", [], "invalid_json", None),
    ("POST", "/v1/tasks/retry", {}, "ids_required", "ids"),
    ("POST", "/v1/tasks/retry", {"ids": []}, "ids_required", "ids"),
    ("POST", "/v1/tasks/retry", {"ids": ["a"] * 101}, "ids_too_many", "ids"),
    ("POST", "/v1/tasks/bulk", {"tasks": [{"type": "t", "nope": 1}]}, "invalid_json", "tasks[0].nope"),
    ("POST", "/v1/tasks/delete-matching", {"states": []}, "task_state_invalid", "states"),
    ("POST", "/v1/tasks/delete-matching", {}, "task_state_invalid", "states"),
    ("POST", "/v1/queues", {}, "queue_name_required", "name"),
    ("POST", "/v1/queues", {"name": ""}, "queue_name_required", "name"),
    ("POST", "/v1/queues", {"name": "A", "max_age": "soon"}, "invalid_duration", "max_age"),
    ("POST", "/v1/queues", {"name": "A", "max_age": "-5s"}, "invalid_duration", "max_age"),
    ("POST", "/v1/queues", {"name": "A", "max_age": "1ns"}, "settings_refused", None),
    ("POST", "/v1/queues", {"name": "A", "max_runtime": "0s"}, "configuration_invalid", None),
    ("POST", "/v1/queues", {"name": "A", "max_entries": -1}, "invalid_json", "max_entries"),
    ("POST", "/v1/queues", {"name": "A", "max_concurrent": 0}, "invalid_json", "max_concurrent"),
    ("PATCH", "/v1/queues/Q", {"replicas": 3}, "settings_refused", None),
    ("PATCH", "/v1/queues/Q", {"name": "other"}, "invalid_json", "name"),
    ("POST", "/v1/schedules", {}, "schedule_invalid", "name"),
    ("POST", "/v1/schedules", SCHEDULE | {"schedule": "every day"}, "schedule_invalid", None),
    ("POST", "/v1/schedules", SCHEDULE | {"deadline_offset": "29s"}, "schedule_invalid", None),
    ("POST", "/v1/schedules", SCHEDULE | {"deadline_offset": "1 day"}, "invalid_duration", "deadline_offset"),
    ("POST", "/v1/schedules", SCHEDULE | {"payload": 1, "payload_base64": ""}, "payload_both_set", "payload"),
    ("GET", "/v1/tasks?limit=0", None, "limit_invalid", "limit"),
    ("GET", "/v1/tasks?limit=1001", None, "limit_invalid", "limit"),
    ("GET", "/v1/tasks?limit=many", None, "limit_invalid", "limit"),
    ("GET", "/v1/tasks?limit=1&limit=2", None, "parameter_invalid", "limit"),
    ("GET", "/v1/tasks?state=done", None, "task_state_invalid", "state"),
    ("GET", "/v1/tasks?created_since=now", None, "invalid_timestamp", "created_since"),
    ("GET", "/v1/tasks?cursor=x", None, "cursor_invalid", "cursor"),
    ("GET", "/v1/tasks?stream=xml", None, "parameter_invalid", "stream"),
    ("GET", "/v1/tasks?all=true", None, None, "all"),
    ("GET", "/v1/tasks?stat=new", None, "parameter_unknown", "stat"),
    ("GET", "/v1/tasks/a.b", None, "task_id_invalid", "id"),
    ("GET", f"/v1/tasks/{'x' * 5000}", None, "task_id_invalid", "id"),
    ("GET", "/v1/tasks/a?wait=11m", None, "invalid_duration", "wait"),
    ("GET", "/v1/tasks/a/result?wait=x", None, "invalid_duration", "wait"),
    ("GET", "/v1/queues/a%20b", None, "queue_name_invalid", "name"),
    ("POST", "/v1/queues/Q/pause?duration=0s", None, "configuration_invalid", None),
    ("GET", "/v1/schedules/*", None, "schedule_invalid", "name"),
    ("GET", "/v1/events?state=x", None, "task_state_invalid", "state"),
    ("POST", "/v1/tasks/retry", {"ids": ["x" * 201]}, "task_id_invalid", "ids[0]"),
    ("POST", "/v1/tasks/bulk", {"tasks": [{"type": "a b"}]}, "task_type_invalid", "tasks[0].type"),
]


async def test_each_mistake_is_a_400_with_its_reason_and_field(api):
    for method, path, body, reason, field in MISTAKES:
        response = await api.http.request(method, path, **({} if body is None else {"json": body}))
        what = (method, path[:100], body, response.text)
        assert problem(response) == (400, "invalid_argument", reason), what
        assert response.json()["error"].get("details", {}).get("field") == field, what


async def test_a_body_that_is_not_json_is_a_400(api):
    for body in (b"", b"{", b'{"type": nope}', b"\xff\xfe", b'{"type":"t","payload":"\xff"}', b"[" * 100_000):
        response = await api.http.post("/v1/tasks", content=body, headers=JSON)
        assert problem(response) == (400, "invalid_argument", "invalid_json"), body[:30]


async def test_the_error_for_invalid_json_includes_its_path(api):
    response = await api.http.post("/v1/tasks", content=b'{"type" 5}', headers=JSON)
    assert "(byte 8)" in response.json()["error"]["message"]


async def test_a_body_of_another_type_is_a_415(api):
    for kind in (None, "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"):
        headers = {} if kind is None else {"Content-Type": kind}
        response = await api.http.post("/v1/tasks", content=b'{"type":"t"}', headers=headers)
        assert problem(response) == (415, "invalid_argument", "content_type_unsupported"), kind


async def test_json_has_several_names(api):
    for kind in ("application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"'):
        response = await api.http.post("/v1/tasks", content=b'{"type":"t"}', headers={"Content-Type": kind})
        assert response.status_code == 201, kind


async def test_unknown_paths_and_methods_are_errors(api):
    assert problem(await api.get("/v2/tasks")) == (404, "not_found", "path_not_found")
    response = await api.http.put("/v1/tasks/x")
    assert problem(response) == (405, "invalid_argument", "method_not_allowed")
    assert response.headers["allow"] == "DELETE, GET, HEAD"
    for path in ("/v1/queues", "/v1/tasks", "/v1/events"):
        head = await api.http.head(path)
        assert (head.status_code, head.content) == (200, b"")
    # A task may be called so.
    assert problem(await api.get("/v1/tasks/retry"))[2] == "task_not_found"


# ---- sizes


async def test_a_body_that_is_too_large_is_a_413_also_in_chunks(server, client):
    async def chunks(count):
        yield b'{"type":"t","payload":"'
        for _ in range(count):
            yield b"x" * 1_000
        yield b'"}'

    async with api_server(server, max_body=10_000) as api:
        body = b"".join([piece async for piece in chunks(20)])
        declared = await api.http.post("/v1/tasks", content=body, headers=JSON)
        assert problem(declared) == (413, "payload_too_large", "body_too_large")
        chunked = await api.http.post("/v1/tasks", content=chunks(20), headers=JSON)
        assert "content-length" not in chunked.request.headers
        assert problem(chunked) == (413, "payload_too_large", "body_too_large")
        assert (await api.http.post("/v1/tasks", content=chunks(9), headers=JSON)).status_code == 201


async def test_a_payload_that_nats_refuses_is_a_413(server, client):
    async with api_server(server, max_body=10_000_000) as api:
        response = await api.post("/v1/tasks", {"type": "t", "payload": "x" * 2_000_000})
        assert problem(response) == (413, "payload_too_large", "payload_too_large")


async def test_a_page_of_large_tasks_arrives_whole(api, client):
    for _ in range(20):
        await client.enqueue("t", "x" * 200_000)
    body = (await api.get("/v1/tasks")).json()
    assert body["count"] == len(body["tasks"]) == 20


# ---- slow clients


async def connected(api):
    return await asyncio.open_connection(api.server.address.host, api.server.address.port)


async def test_a_client_that_sends_nothing_is_let_go(server, client):
    async with api_server(server, read_timeout=timedelta(seconds=0.3)) as api:
        for begin in (b"", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "):
            reader, writer = await connected(api)
            writer.write(begin)
            assert await reader.read() == b""
            writer.close()


async def test_a_second_request_that_does_not_end_is_let_go(server, client):
    async with api_server(server, read_timeout=timedelta(seconds=0.3)) as api:
        reader, writer = await connected(api)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"}")
        writer.write(b"GET /healthz HTTP/1.1\r\n")
        assert await reader.read() == b""
        writer.close()


async def test_a_body_that_does_not_come_is_a_408(server, client):
    async with api_server(server, read_timeout=timedelta(seconds=0.3)) as api:
        reader, writer = await connected(api)
        writer.write(
            b"POST /v1/tasks HTTP/1.1\r\nHost: [::1]\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
        )
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 ")
        assert json.loads(body)["error"]["details"]["reason"] == "body_timeout"
        writer.close()


async def test_a_client_whose_headers_never_end_is_disconnected(api):
    reader, writer = await connected(api)
    writer.write(b"GET /healthz HTTP/1.1\r\n")

    async def go_on():
        for _ in range(10_000):
            writer.write(b"X-More: " + b"x" * 1_000 + b"\r\n")
            await writer.drain()
        await reader.readexactly(1)

    with pytest.raises(ConnectionError):
        await go_on()
    writer.close()


async def test_a_request_that_is_not_http_gets_an_error_of_the_same_form(api):
    reader, writer = await connected(api)
    writer.write(b"hello\r\n\r\n")
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["error"]["details"]["reason"] == "http_invalid"
    writer.close()


async def test_a_client_that_does_not_read_its_stream_is_disconnected(server, client):
    many = [client.new_task("t", "x" * 20_000) for _ in range(1_000)]
    await client.enqueue_many(many)
    async with api_server(server, write_timeout=timedelta(seconds=0.5)) as api:
        reader, writer = await connected(api)
        writer.write(b"GET /v1/tasks?stream=ndjson&all=true HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()
        async with asyncio.timeout(20):
            while api.server.connections:
                await asyncio.sleep(0.02)
        writer.close()


# ---- the reasons of tasks and signatures


async def test_a_task_past_its_deadline_is_refused(api, client):
    past = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    response = await api.post("/v1/tasks", {"type": "t", "deadline": past})
    assert problem(response) == (409, "conflict", "task_past_deadline")
    soon = await client.enqueue("t", deadline=timedelta(milliseconds=1))
    await asyncio.sleep(0.01)
    assert problem(await api.post(f"/v1/tasks/{soon.id}/retry")) == (409, "conflict", "task_past_deadline")


async def test_an_id_is_accepted_once(api):
    assert (await api.post("/v1/tasks", {"type": "t", "id": "mine"})).status_code == 201
    response = await api.post("/v1/tasks", {"type": "other", "id": "mine"})
    assert problem(response) == (409, "duplicate", "task_already_exists")


async def test_an_id_can_be_used_again_after_its_task_was_deleted(api, client):
    task = await client.enqueue("t", task_id="again")
    await client.delete(task.id)
    assert (await api.post("/v1/tasks", {"type": "t", "id": "again"})).status_code == 201
    assert (await client.load("again")).state == "new"


async def test_a_full_queue_is_unavailable(api, client):
    await client.create_queue(Queue(name="FULL", max_entries=1))
    assert (await api.post("/v1/tasks", {"type": "t", "queue": "FULL"})).status_code == 201
    response = await api.post("/v1/tasks", {"type": "t", "queue": "FULL"})
    assert problem(response) == (503, "unavailable", "queue_full")


async def test_a_stored_document_that_is_not_a_task_is_reported(api, client):
    await publish_patiently(client.storage.jetstream, Message("CHORIA_AJ_TASKS", "CHORIA_AJ.T.bad", b"{"))
    assert problem(await api.get("/v1/tasks/bad")) == (500, "internal", "corrupt_task")


async def test_with_a_key_to_verify_with_the_caller_signs(server, client):
    signer = Signer(os.urandom(32))
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000000123Z")
    async with api_server(server, settings={"verification_key": signer.public_key_hex}) as api:
        body = {"type": "t", "payload_base64": base64.b64encode(b"1").decode(), "id": "signed", "created": created}
        assert problem(await api.post("/v1/tasks", body)) == (400, "signature_required", "task_not_signed")
        wrong = await api.post("/v1/tasks", body | {"signature": "00" * 64})
        assert problem(wrong) == (400, "signature_invalid", "task_signature_invalid")
        task = new_task("t", b"1", task_id="signed", now_ns=parse_timestamp(created), queue="Q")
        good = body | {"signature": sign_task(task, signer).signature}
        response = await api.post("/v1/tasks", good)
        assert (response.status_code, response.json()["created"]) == (201, created)
        unsigned = await client.enqueue("t")
        assert problem(await api.get(f"/v1/tasks/{unsigned.id}")) == (400, "signature_required", "task_not_signed")


async def test_with_a_key_to_sign_with_the_server_signs(server, client):
    seed = os.urandom(32)
    async with api_server(server, settings={"signing_key": seed}) as api:
        task = (await api.post("/v1/tasks", {"type": "t"})).json()
        async with Client.connect(server.url, queue="Q", verification_key=Signer(seed).public_key_hex) as verifier:
            assert (await verifier.load(task["id"])).signature == task["signature"]
        response = await api.post("/v1/tasks", {"type": "t", "signature": "00"})
        assert problem(response) == (409, "conflict", "task_already_signed")


# ---- what is written about requests


async def test_the_log_has_a_line_for_each_request_and_no_secrets(api, caplog):
    caplog.set_level("INFO")
    secret = {"Authorization": "Bearer hush-token"}
    await api.post("/v1/tasks?nothing=hush-query", {"type": "t", "payload": "hush-body"}, headers=secret)
    await api.post("/v1/tasks", {"type": "t", "payload": "hush-body"}, headers=secret)
    lines = [record for record in caplog.records if record.name == "ajobs.access"]
    assert [(line.method, line.path, line.status) for line in lines] == [
        ("POST", "/v1/tasks", 400), ("POST", "/v1/tasks", 201),
    ]  # fmt: skip
    ours = [record for record in caplog.records if record.name.startswith("ajobs")]
    assert "hush" not in " ".join(str(vars(record)) for record in ours)


async def test_cross_origin_requests_change_nothing(api):
    other = {"Origin": "http://evil.example"}
    assert problem(await api.post("/v1/queues/Q/purge", headers=other)) == (403, "forbidden", "cross_origin")
    same = {"Origin": api.server.url}
    assert (await api.post("/v1/queues/Q/purge", headers=same)).status_code == 202


CHUNKED = (
    b"POST /v1/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


@pytest.mark.parametrize("line", [b"X-Trailer: 1234567890\r\n", b"X" * 1_024], ids=["many lines", "one line"])
async def test_trailers_without_end_close_the_connection(api, line):
    _, writer = await connected(api)
    with contextlib.suppress(ConnectionError):
        writer.write(CHUNKED + b"2\r\n{}\r\n0\r\n")
        for _ in range(64):
            writer.write(line * (65_536 // len(line)))
            await writer.drain()
            await asyncio.sleep(0)
    async with asyncio.timeout(5):
        while api.server.connections:
            await asyncio.sleep(0.01)
    writer.close()


async def test_short_trailers_are_ignored(api):
    reader, writer = await connected(api)
    writer.write(CHUNKED + b"2\r\n{}\r\n0\r\nX-Trailer: 1\r\n\r\n")
    assert b" 400 " in await reader.readline()
    writer.close()


async def test_a_body_that_trickles_after_a_refusal_ends_the_connection(server, client, tmp_path):
    path = tmp_path / "tokens"
    path.write_text(new_token("ann", [Scope.READ])[1])
    async with api_server(server, token_file=path, read_timeout=timedelta(seconds=0.3)) as api:
        reader, writer = await connected(api)
        writer.write(CHUNKED)
        assert b" 401 " in await reader.readline()
        with pytest.raises((ConnectionError, TimeoutError)) as ended:  # noqa: PT012 - either call may fail
            async with asyncio.timeout(3):
                while True:
                    writer.write(b"1\r\n \r\n")
                    await writer.drain()
                    await asyncio.sleep(0.05)
        assert not isinstance(ended.value, TimeoutError)
        writer.close()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "192.0.2.1", "", "[x"])
async def test_a_foreign_host_is_refused_without_authentication(api, host):
    response = await api.post("/v1/tasks/purge", headers={"Host": host, "X-Confirm": "purge"})
    assert problem(response) == (403, "forbidden", "host_forbidden")
    assert (await api.get("/v1/tasks", headers={"Host": host})).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:80", "127.0.0.1", "127.8.8.8:1", "[::1]:8080"])
async def test_a_loopback_host_is_served(api, host):
    assert (await api.get("/v1/tasks", headers={"Host": host})).status_code == 200


async def test_a_server_behind_a_proxy_serves_any_host(server, client):
    async with api_server(server, unsafe_bind=True) as api:
        assert (await api.get("/v1/tasks", headers={"Host": "jobs.example.net"})).status_code == 200


@pytest.mark.parametrize("hosts", [b"", b"Host: localhost\r\nHost: evil.example\r\n"])
async def test_a_missing_or_doubled_host_is_refused(api, hosts):
    reader, writer = await connected(api)
    writer.write(b"GET /v1/tasks HTTP/1.1\r\n" + hosts + b"\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.close()
