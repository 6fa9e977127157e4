"""Reads what a request brings: its body, and its parameters, each checked against a type."""

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
"""How many times the limit is read and thrown away of a body that is too large, so that the client reads the answer."""


class Body(msgspec.Struct, frozen=True):
    """How much of a body is taken, and for how long it is waited for."""

    max_bytes: int
    timeout_s: float


async def read_body(headers: Headers, receive: Receive, limits: Body) -> bytes:
    """Return a request's body.

    Raises:
        ApiError: It is too large, of another type than JSON, or took too long.
    """
    declared = headers.get("content-length", "")
    beyond = limits.max_bytes * DRAINED
    if declared.isdecimal() and int(declared) > (limits.max_bytes if "expect" in headers else beyond):
        raise _too_large(limits)
    _check_type(headers.get("content-type"))
    body, size = bytearray(), 0
    try:
        async with asyncio.timeout(limits.timeout_s):
            async for piece in _pieces(receive):
                size += len(piece)
                if size <= limits.max_bytes:
                    body += piece
                elif size > beyond:
                    break
    except TimeoutError as e:
        raise ApiError(
            f"the body did not come within {limits.timeout_s:g} s: send it at once",
            reason="body_timeout", status=408, headers={"Connection": "close"},
        ) from e  # fmt: skip
    if size > limits.max_bytes:
        raise _too_large(limits)
    return bytes(body)


def _too_large(limits: Body) -> ApiError:
    return ApiError(
        f"the body is larger than {limits.max_bytes} bytes: store large data elsewhere, or run the server with "
        "a larger --max-body",
        code="payload_too_large", reason="body_too_large", headers={"Connection": "close"},
    )  # fmt: skip


def _check_type(given: str | None) -> None:
    essence, _, parameters = (given or "").partition(";")
    charset = re.search(r"charset\s*=\s*\"?([\w-]+)", parameters, re.IGNORECASE)
    if essence.strip().lower() != "application/json" or (charset and charset[1].lower() not in {"utf-8", "utf8"}):
        named = "no Content-Type" if given is None else f"Content-Type {given[:100]!r}"
        raise ApiError(
            f"a body with {named} is not understood: use application/json, in UTF-8",
            reason="content_type_unsupported", field="Content-Type", status=415,
        )  # fmt: skip


async def _pieces(receive: Receive) -> AsyncGenerator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnectedError
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


def decode_body(body: bytes, kind: Any, reasons: Mapping[str, str]) -> Any:
    """Decode a body.

    Args:
        body: The bytes.
        kind: What it is to be.
        reasons: The reason of an error by the field that it is about; others are ``invalid_json``.

    Raises:
        ApiError: It is not; the text says where.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as e:
        field = _field_of(str(e))
        reason = reasons.get(_index("[]", field or ""), "invalid_json")
        raise ApiError(f"the body does not fit: {e}", reason=reason, field=field) from e
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        where = "it is nested too deeply" if isinstance(e, RecursionError) else str(e)
        raise ApiError(f"the body is no JSON: {where}", reason="invalid_json") from e


# The library says where only in its text. It is for people: nothing depends on it but what is shown.
_place = re.compile(r"at `\$\.?([^`]*)`").search
_index = re.compile(r"\[[^\]]*\]").sub
_named = re.compile(r"field `([^`]+)`").search


def _field_of(text: str) -> str | None:
    place, named = _place(text), _named(text)
    parts = [found[1] for found in (place, named) if found is not None and found[1]]
    return ".".join(parts) or None


def decode_query(query: bytes, kind: Any, reasons: Mapping[str, str]) -> Any:
    """Decode the parameters of a query.

    Args:
        query: What is behind the question mark.
        kind: A structure whose fields are the parameters; those that are lists can be repeated.
        reasons: The reason of an error by the parameter that it is about; others are ``parameter_invalid``.

    Raises:
        ApiError: They do not fit, or there is one that nobody knows.
    """
    known = _parameters(kind)
    values: dict[str, Any] = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=None):
        if name not in known:
            names = ", ".join(known) or "none"
            raise ApiError(
                f"unknown parameter {name[:50]!r}: there is {names}", reason="parameter_unknown", field=name[:50]
            )
        if known[name]:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise ApiError(f"parameter {name} is there twice", reason="parameter_invalid", field=name)
        else:
            values[name] = value
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as e:
        field = (_field_of(str(e)) or "").partition("[")[0]
        reason = reasons.get(field, "parameter_invalid")
        raise ApiError(f"parameter {field}: {e}", reason=reason, field=field or None) from e


_known: dict[Any, dict[str, bool]] = {}


def _parameters(kind: Any) -> dict[str, bool]:
    """Return a structure's parameters, and whether each can be repeated."""
    if kind not in _known:
        hints = get_type_hints(kind)
        _known[kind] = {
            field.encode_name: get_origin(hints[field.name]) in {list, tuple} or list in get_args(hints[field.name])
            for field in msgspec.structs.fields(kind)
        }
    return _known[kind]
