"""Our OpenAPI document has every operation and field of Choria Async Jobs, so that clients generated for Go work.

The table below lists what the document of Choria Async Jobs promises. docs/http.md lists where its server differs.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from ajobs.admin.api.openapi import describe
from ajobs.admin.api.operations import OPERATIONS

DOCUMENT = describe(OPERATIONS)


class Route(NamedTuple):
    method: str
    path: str
    name: str
    statuses: str
    query: str = ""
    headers: str = ""
    body: str = ""
    """The fields of its body; a required one ends with ``!``."""
    answer: str = ""
    """The fields of its first response; one that is always present ends with ``!``."""


TASK = (
    "id! type! queue dependencies dependency_results load_dependencies payload! deadline max_tries result state! "
    "created! tried tries last_err signature"
)
QUEUE = "name! time max_age max_entries discard_old max_tries max_runtime max_concurrent"
SCHEDULE = "name! schedule! queue! task_type! payload deadline max_tries created_at!"

ROUTES = [
    Route("get", "/healthz", "getHealthz", "200", answer="status! time!"),
    Route("get", "/readyz", "getReadyz", "200 503", answer="ready! checks!"),
    Route("get", "/v1/info", "getInfo", "200 500", answer="version! auth! queue_count task_count features"),
    Route("get", "/v1/retry-policies", "listRetryPolicies", "200", answer="policies!"),
    Route(
        "get", "/v1/tasks", "listTasks", "200 429", query="state queue type created_since limit stream",
        answer="tasks! count!",
    ),
    Route(
        "post", "/v1/tasks", "createTask", "201 400 409 413", headers="Idempotency-Key",
        body="type! queue payload payload_base64 deadline max_tries dependencies load_dependencies signature",
        answer=TASK,
    ),
    Route("get", "/v1/tasks/{id}", "getTask", "200 404", answer=TASK),
    Route("delete", "/v1/tasks/{id}", "deleteTask", "204 404"),
    Route("post", "/v1/tasks/{id}/retry", "retryTask", "200 404 409", answer=TASK),
    Route("post", "/v1/tasks/retry", "retryTasks", "200 400", body="ids!", answer="results!"),
    Route("get", "/v1/queues", "listQueues", "200", answer="queues!"),
    Route(
        "post", "/v1/queues", "createQueue", "201 400 409", answer=QUEUE,
        body="name! max_age max_entries discard_old max_tries max_runtime max_concurrent",
    ),
    Route("get", "/v1/queues/{name}", "getQueue", "200 404", answer=QUEUE),
    Route("delete", "/v1/queues/{name}", "deleteQueue", "204 404"),
    Route("post", "/v1/queues/{name}/purge", "purgeQueue", "202 404"),
    Route("get", "/v1/schedules", "listSchedules", "200", answer="schedules!"),
    Route(
        "post", "/v1/schedules", "createSchedule", "201 400 409", answer=SCHEDULE,
        body="name! schedule! queue! task_type! payload payload_base64 deadline_offset max_tries",
    ),
    Route("get", "/v1/schedules/{name}", "getSchedule", "200 404", answer=SCHEDULE),
    Route("delete", "/v1/schedules/{name}", "deleteSchedule", "204 404"),
]  # fmt: skip

SCHEMAS = {
    "Task": TASK,
    "TaskResult": "payload! completed!",
    "QueueInfo": QUEUE,
    "Schedule": SCHEDULE,
    "RetryPolicy": "name! intervals! jitter!",
    "BulkRetryResult": "id! status! error",
    "CheckStatus": "ok! error",
    "Checks": "tasks! config!",
    "Error": "error!",
    "Problem": "code! message! details",
    "Details": "field reason",
}
CODES = {
    "invalid_argument", "not_found", "conflict", "duplicate", "rate_limited", "payload_too_large", "signature_invalid",
    "signature_required", "dependency_failed", "internal", "unavailable",
}  # fmt: skip
STATES = ["new", "active", "retry", "expired", "terminated", "complete", "queue_error", "blocked", "unreachable"]


def resolved(schema: dict) -> dict:
    while "$ref" in schema:
        found = DOCUMENT
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def fields(text: str) -> tuple[set[str], set[str]]:
    """Return all fields of a row, and those that are marked."""
    names = text.split()
    return {name.rstrip("!") for name in names}, {name[:-1] for name in names if name.endswith("!")}


def properties(schema: dict) -> tuple[set[str], set[str]]:
    found = resolved(schema)
    return set(found["properties"]), set(found.get("required", ()))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_operation_of_choria_async_jobs_exists_with_its_fields(route):
    operation = DOCUMENT["paths"][route.path][route.method]
    assert operation["operationId"] == route.name
    assert set(route.statuses.split()) <= set(operation["responses"])
    parameters = {(found["in"], found["name"]): found for found in operation.get("parameters", [])}
    for place, names in (("query", route.query), ("header", route.headers)):
        for name in names.split():
            assert not parameters[place, name]["required"]
    if route.body:
        known, required = properties(operation["requestBody"]["content"]["application/json"]["schema"])
        theirs, theirs_required = fields(route.body)
        assert theirs <= known
        assert required == theirs_required
    if route.answer:
        answer = resolved(operation["responses"][route.statuses.split()[0]])
        known, always = properties(answer["content"]["application/json"]["schema"])
        theirs, theirs_always = fields(route.answer)
        assert theirs <= known
        assert theirs_always <= always


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_of_choria_async_jobs_has_all_fields(name):
    known, always = properties(DOCUMENT["components"]["schemas"][name])
    theirs, theirs_always = fields(SCHEMAS[name])
    assert theirs <= known
    assert theirs_always <= always


def test_lists_come_as_lines_too():
    answer = DOCUMENT["paths"]["/v1/tasks"]["get"]["responses"]["200"]
    assert set(answer["content"]) == {"application/json", "application/x-ndjson"}


def test_codes_states_and_limits_are_those_of_choria_async_jobs():
    schemas = DOCUMENT["components"]["schemas"]
    assert set(schemas["Problem"]["properties"]["code"]["enum"]) >= CODES
    assert sorted(schemas["Task"]["properties"]["state"]["enum"]) == sorted(STATES)
    limit = next(p for p in DOCUMENT["paths"]["/v1/tasks"]["get"]["parameters"] if p["name"] == "limit")["schema"]
    assert (limit["minimum"], limit["maximum"], limit["default"]) == (1, 1_000, 200)
    ids = schemas["BulkRetryRequest"]["properties"]["ids"]
    assert (ids["minItems"], ids["maxItems"]) == (1, 100)
    key = next(p for p in DOCUMENT["paths"]["/v1/tasks"]["post"]["parameters"] if p["name"] == "Idempotency-Key")
    assert key["schema"]["maxLength"] == 128


def test_each_operation_has_a_name_a_summary_and_a_scope_or_is_open():
    operations = [each for methods in DOCUMENT["paths"].values() for each in methods.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert all(operation["summary"].endswith(".") for operation in operations)
    assert {operation.get("x-scope") for operation in operations} == {None, "read", "write", "admin"}
