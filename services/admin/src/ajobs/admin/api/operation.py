"""What an operation of the API is: a line of the table that everything else is made from."""

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
    """A request, read and checked."""

    service: Service
    path: Mapping[str, str]
    """The parameters of the path, each a valid name."""
    query: Any
    """What the operation's query was decoded to."""
    body: Any
    """What its body was decoded to, if it takes one."""
    raw_body: bytes
    headers: Headers
    owner: str
    """The name of the token; empty when there are none."""


Handler = Callable[[Call], Coroutine[Any, Any, Response | StreamingResponse]]


class Success(NamedTuple):
    """An answer that is no error."""

    text: str
    kind: Any = None
    content_types: Mapping[str, Any] = {}
    """What there is besides JSON."""
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
    """What a token has to allow; ``None``: none is needed."""
    answers: Mapping[int, Success]
    errors: tuple[int, ...] = ()
    """Statuses of errors besides those that any operation of its kind has."""
    text: str = ""
    query: type[Query] = Query
    body: Any = None
    reasons: Mapping[str, str] = {}
    """The reason of an error about a field or a parameter."""
    headers: Mapping[str, str] = {}
    """Headers that it understands, and what for."""
    needs_nats: bool = True
    waits: bool = False
    """Whether it may take long and changes nothing, so that it is given up when the client goes away."""

    @property
    def parameters(self) -> list[str]:
        """The names of the parameters of its path."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]

    def statuses(self) -> list[int]:
        """Return the statuses of all errors that it may answer with."""
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
