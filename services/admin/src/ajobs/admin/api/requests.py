"""Read the body and the query parameters of a request, and validate them against a type."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from typing import Any, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

import msgspec
from starlette.datastructures import Headers
from starlette.types import Receive

from ajobs.admin.api.errors import ApiError
from ajobs.admin.api.responses import ClientDisconnectedError

DRAINED = 16
"""Read and discard up to this many times the limit of a body that is too large, so that the client reads the error."""


SMALL_BODY = 16_384
"""Bytes of each body that are always accepted, so that large bodies cannot keep small ones out."""


class Body(msgspec.Struct, frozen=True):
    """Limits of a request body: its size, and the time to receive it."""

    max_bytes: int
    timeout_s: float


class BodyBudget:
    """The memory for bodies that are arriving, which many slow clients could otherwise fill."""

    def __init__(self, max_bytes: int) -> None:
        """Allow ``max_bytes`` for all bodies together. The first `SMALL_BODY` bytes of each are not counted."""
        self._left = max_bytes

    def take(self, size: int) -> None:
        """Take memory for a body.

        Raises:
            ApiError: The budget is used up.
        """
        if size > self._left:
            raise ApiError(
                "too many large bodies are arriving: try again in a moment",
                code="unavailable", reason="bodies_too_many", headers={"Retry-After": "1", "Connection": "close"},
            )  # fmt: skip
        self._left -= size

    def give_back(self, size: int) -> None:
        """Give back what was taken."""
        self._left += size


async def read_body(headers: Headers, receive: Receive, limits: Body, budget: BodyBudget) -> bytes:
    """Return the body of a request.

    Raises:
        ApiError: The body is too large, too slow, or not JSON according to its Content-Type.
    """
    declared = headers.get("content-length", "")
    beyond = limits.max_bytes * DRAINED
    if declared.isdecimal() and int(declared) > (limits.max_bytes if "expect" in headers else beyond):
        raise _too_large(limits)
    _check_type(headers.get("content-type"))
    body, size, taken = bytearray(), 0, 0
    try:
        async with asyncio.timeout(limits.timeout_s):
            async for chunk in _chunks(receive):
                size += len(chunk)
                if size <= limits.max_bytes:
                    more = max(0, size - SMALL_BODY) - taken
                    budget.take(more)
                    taken += more
                    body += chunk
                elif size > beyond:
                    break
    except TimeoutError as e:
        raise ApiError(
            f"the body did not arrive within {limits.timeout_s:g} s: send it without delay",
            reason="body_timeout", status=408, headers={"Connection": "close"},
        ) from e  # fmt: skip
    finally:
        budget.give_back(taken)
    if size > limits.max_bytes:
        raise _too_large(limits)
    return bytes(body)


def _too_large(limits: Body) -> ApiError:
    return ApiError(
        f"the body is larger than {limits.max_bytes} bytes: store large data elsewhere and send a reference, or run "
        "the server with a larger --max-body",
        code="payload_too_large", reason="body_too_large", headers={"Connection": "close"},
    )  # fmt: skip


def _check_type(given: str | None) -> None:
    essence, _, parameters = (given or "").partition(";")
    charset = re.search(r"charset\s*=\s*\"?([\w-]+)", parameters, re.IGNORECASE)
    if essence.strip().lower() != "application/json" or (charset and charset[1].lower() not in {"utf-8", "utf8"}):
        named = "a missing Content-Type" if given is None else f"Content-Type {given[:100]!r}"
        raise ApiError(
            f"{named} is not supported: use application/json in UTF-8",
            reason="content_type_unsupported", field="Content-Type", status=415,
        )  # fmt: skip


async def _chunks(receive: Receive) -> AsyncGenerator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnectedError
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


def decode_body(body: bytes, kind: Any, reasons: Mapping[str, str]) -> Any:
    """Decode and validate a body.

    Args:
        body: The bytes.
        kind: The type to decode to.
        reasons: The error reason for each field; the default is ``invalid_json``.

    Raises:
        ApiError: The body is not valid JSON, or does not match the type. The message names the place.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as e:
        field = _field_of(str(e))
        reason = reasons.get(_index("[]", field or ""), "invalid_json")
        raise ApiError(f"invalid body: {e}", reason=reason, field=field) from e
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        where = "nested too deeply" if isinstance(e, RecursionError) else str(e)
        raise ApiError(f"the body is not valid JSON: {where}", reason="invalid_json") from e


# msgspec reports the place of an error in its text only. The field found here is only shown to people.
_place = re.compile(r"at `\$\.?([^`]*)`").search
_index = re.compile(r"\[[^\]]*\]").sub
_named = re.compile(r"field `([^`]+)`").search


def _field_of(text: str) -> str | None:
    place, named = _place(text), _named(text)
    parts = [found[1] for found in (place, named) if found is not None and found[1]]
    return ".".join(parts) or None


def decode_query(query: bytes, kind: Any, reasons: Mapping[str, str]) -> Any:
    """Decode and validate query parameters.

    Args:
        query: The query string, without the question mark.
        kind: A struct whose fields are the parameters. A parameter that is a list may be repeated.
        reasons: The error reason for each parameter; the default is ``parameter_invalid``.

    Raises:
        ApiError: A parameter is unknown, repeated, or not valid.
    """
    known = _parameters(kind)
    values: dict[str, Any] = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=None):
        if name not in known:
            choices = f"choose from {', '.join(known)}" if known else "this operation has no parameters"
            raise ApiError(f"unknown parameter {name[:50]!r}: {choices}", reason="parameter_unknown", field=name[:50])
        if known[name]:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise ApiError(f"parameter {name} is repeated: pass it once", reason="parameter_invalid", field=name)
        else:
            values[name] = value
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as e:
        field = (_field_of(str(e)) or "").partition("[")[0]
        reason = reasons.get(field, "parameter_invalid")
        raise ApiError(f"invalid parameter {field}: {e}", reason=reason, field=field or None) from e


_known: dict[Any, dict[str, bool]] = {}


def _parameters(kind: Any) -> dict[str, bool]:
    """Return the parameters of a struct, and whether each may be repeated."""
    if kind not in _known:
        hints = get_type_hints(kind)
        _known[kind] = {
            field.encode_name: get_origin(hints[field.name]) in {list, tuple} or list in get_args(hints[field.name])
            for field in msgspec.structs.fields(kind)
        }
    return _known[kind]
