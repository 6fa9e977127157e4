"""Build the OpenAPI document from the table of operations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version as version_of
from typing import Any, cast, get_args, get_origin

import msgspec

from ajobs.admin.api.errors import STATUSES, ErrorDocument
from ajobs.admin.api.operation import Operation, Success
from ajobs.admin.api.responses import JSON
from ajobs.admin.api.schemas.types import Name

Json = dict[str, Any]

REF = "#/components/schemas/{name}"
_SUFFIX = "Document"

TAGS = {
    "Tasks": "Create, inspect, wait for, retry and delete tasks.",
    "Bulk": "One operation on many tasks.",
    "Queues": "Manage work queues.",
    "Schedules": "Manage schedules, which create tasks at set times.",
    "Events": "Watch state changes as they happen.",
    "Meta": "Health, server information and settings.",
}

TEXT = """\
Durable background tasks on NATS: enqueue tasks, follow them, and manage queues and schedules.

**Authentication and authorization.** A server with tokens needs the header `Authorization: Bearer TOKEN`. The scope \
of a token is `read`, `write` (tasks) or `admin` (queues, schedules, the task store). Each scope includes those before \
it. A server with a client certificate authority needs a client certificate. Without either, every client that reaches \
the server may do everything. `auth` in `/v1/info` shows the mode.

**Timestamps** are RFC 3339. **Durations** are text in requests, such as `30s` or `1h30m`, and nanoseconds in responses.

**Payloads** in requests are any JSON in `payload`, or bytes in `payload_base64`. Responses hold base64.

**Errors** have one form. `code` and `details.reason` are stable and meant for programs. `message` is for people.
"""

ERRORS = {
    400: "The request is invalid. `details.field` names the field.",
    401: "The token is missing or unknown.",
    403: "The scope of the token is too low, or the request is cross-origin.",
    404: "Not found.",
    408: "The body did not arrive in time.",
    409: "Conflict: it already exists, or it changed meanwhile.",
    413: "The body is too large.",
    415: "The Content-Type is not JSON.",
    424: "The task failed: it ended in a state other than `complete`.",
    429: "Too many failed authentications.",
    500: "Internal error. The server log has the details.",
    503: "NATS or a stream is not available. Try again later.",
}


def describe(operations: Sequence[Operation]) -> Json:
    """Return the OpenAPI document of some operations."""
    schemas, components = _schemas(operations)
    paths: Json = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    code = components["Problem"]["properties"]["code"]
    code["enum"] = sorted(STATUSES)
    document: Json = {
        "openapi": "3.1.0",
        "info": {
            "title": "ajobs HTTP API",
            "version": version_of("ajobs-admin"),
            "description": TEXT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "responses": {_error_name(status): _error(text) for status, text in ERRORS.items()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
    return _renamed(document)


def _kinds(operations: Iterable[Operation]) -> Iterator[Any]:
    yield ErrorDocument
    yield Name
    for operation in operations:
        if operation.body is not None:
            yield operation.body
        for success in operation.responses.values():
            if success.kind is not None:
                yield success.kind
            yield from success.content_types.values()
        for field in msgspec.structs.fields(operation.query):
            yield field.type


def _schemas(operations: Sequence[Operation]) -> tuple[dict[str, Json], Json]:
    """Return the schema of each type by its `repr`, and the components that they refer to."""
    kinds = {repr(kind): kind for kind in _kinds(operations)}
    schemas, components = msgspec.json.schema_components(kinds.values(), ref_template=REF)
    return dict(zip(kinds, schemas, strict=True)), components


def _operation(operation: Operation, schemas: dict[str, Json]) -> Json:
    described: Json = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
    }
    if operation.text:
        described["description"] = operation.text
    parameters = list(_parameters(operation, schemas))
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": {JSON: {"schema": schemas[repr(operation.body)]}}}
    responses: Json = {str(status): _response(success, schemas) for status, success in operation.responses.items()}
    for status in operation.statuses():
        responses.setdefault(str(status), {"$ref": f"#/components/responses/{_error_name(status)}"})
    described["responses"] = dict(sorted(responses.items()))
    described["security"] = [{}] if operation.scope is None else [{"token": []}, {}]
    if operation.scope is not None:
        described["x-scope"] = operation.scope.value
    return described


def _parameters(operation: Operation, schemas: dict[str, Json]) -> Iterator[Json]:
    for name in operation.parameters:
        yield {"name": name, "in": "path", "required": True, "schema": schemas[repr(Name)]}
    for name, text in operation.headers.items():
        schema: Json = {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"}
        yield {"name": name, "in": "header", "required": False, "description": text, "schema": schema}
    for field in msgspec.structs.fields(operation.query):
        schema = dict(schemas[repr(field.type)])
        parameter: Json = {"name": field.encode_name, "in": "query", "required": False}
        if "description" in schema:
            parameter["description"] = schema.pop("description")
        if _is_list(field.type):
            parameter |= {"style": "form", "explode": True}
        elif isinstance(field.default, int | str):
            schema["default"] = field.default
        yield parameter | {"schema": schema}


def _is_list(kind: Any) -> bool:
    return get_origin(kind) is list or any(get_origin(part) is list for part in get_args(kind))


def _response(success: Success, schemas: dict[str, Json]) -> Json:
    described: Json = {"description": success.text}
    if success.headers:
        described["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in success.headers.items()
        }
    content: Json = {}
    if success.kind is not None:
        content[JSON] = {"schema": schemas[repr(success.kind)]}
    for content_type, kind in success.content_types.items():
        content[content_type] = {"schema": schemas[repr(kind)]}
    if content:
        described["content"] = content
    return described


def _error_name(status: int) -> str:
    return f"Error{status}"


def _error(text: str) -> Json:
    return {"description": text, "content": {JSON: {"schema": {"$ref": REF.format(name="Error")}}}}


def _renamed(value: Any) -> Any:
    """Return the document with public schema names, without the suffix ``Document`` of our classes."""
    if isinstance(value, dict):
        fields = cast("Json", value)
        return {_short(key): _short(item) if key == "title" else _renamed(item) for key, item in fields.items()}
    if isinstance(value, list):
        return [_renamed(item) for item in cast("list[Any]", value)]
    if isinstance(value, str) and value.startswith("#/components/schemas/"):
        return _short(value)
    return value


def _short(name: str) -> str:
    return name if name == _SUFFIX else name.removesuffix(_SUFFIX)
