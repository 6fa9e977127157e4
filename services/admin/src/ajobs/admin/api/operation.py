"""An operation of the API: one entry of the table in `operations`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NamedTuple

import msgspec
from starlette.datastructures import Headers

from ajobs.admin.api.responses import Response, StreamingResponse
from ajobs.admin.api.schemas.queries import Query
from ajobs.admin.api.service import Service
from ajobs.admin.api.tokens import Scope


class Call(NamedTuple):
    """A request that was authenticated, read and validated."""

    service: Service
    path: Mapping[str, str]
    """The path parameters. Each is a valid name."""
    query: Any
    """The decoded query parameters, an instance of `Operation.query`."""
    body: Any
    """The decoded body, an instance of `Operation.body`, or ``None``."""
    raw_body: bytes
    headers: Headers
    owner: str
    """The name of the token; empty if the server uses no tokens."""


Handler = Callable[[Call], Coroutine[Any, Any, Response | StreamingResponse]]


class Success(NamedTuple):
    """A successful response, for the OpenAPI document."""

    text: str
    kind: Any = None
    content_types: Mapping[str, Any] = {}
    """Content types other than JSON, with their schemas."""
    headers: Mapping[str, str] = {}


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path."""

    method: str
    path: str
    name: str
    """Its ``operationId``."""
    tag: str
    summary: str
    handler: Handler
    scope: Scope | None
    """The scope that a token needs; ``None`` if the operation needs no token."""
    responses: Mapping[int, Success]
    errors: tuple[int, ...] = ()
    """Error statuses in addition to those of every similar operation."""
    text: str = ""
    query: type[Query] = Query
    body: Any = None
    reasons: Mapping[str, str] = {}
    """The error reason for each field or parameter."""
    headers: Mapping[str, str] = {}
    """Request headers that it reads, with their descriptions."""
    needs_nats: bool = True
    waits: bool = False
    """Whether it may take long and changes nothing, so that it is cancelled when the client disconnects."""

    @property
    def parameters(self) -> list[str]:
        """The names of the path parameters."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]

    def statuses(self) -> list[int]:
        """Return the statuses of all possible errors."""
        found = set(self.errors) | {500}
        if self.query is not Query or self.parameters:
            found.add(400)
        if self.body is not None:
            found |= {400, 408, 413, 415}
        if self.scope is not None:
            found |= {401, 403, 429}
        if self.needs_nats:
            found.add(503)
        if self.parameters:
            found.add(404)
        return sorted(found)
