"""Encode documents as JSON and decode them. Whatever the bytes are, decoding raises `DecodeError` and nothing else."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import msgspec

from ajobs.protocol.errors import (
    AjobsError,
    CorruptItemError,
    CorruptTaskError,
    DecodeError,
    InvalidPayloadError,
)
from ajobs.protocol.events import LEADER_EVENT, TASK_STATE_EVENT, Event, LeaderEvent, TaskStateEvent, check_event
from ajobs.protocol.item import TASK_ITEM, WorkItem
from ajobs.protocol.names import is_valid_name
from ajobs.protocol.schedule import Schedule, ScheduleOptions, check_stored_schedule
from ajobs.protocol.task import JSON_NULL, Result, Task, check_task

T = TypeVar("T")

_encoder = msgspec.json.Encoder()
encode = _encoder.encode
"""Encode any document, or any value that msgspec knows, as JSON."""

_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)


class _EventType(msgspec.Struct, frozen=True):
    type: str


_task_decoder = msgspec.json.Decoder(Task)
_item_decoder = msgspec.json.Decoder(WorkItem)
_schedule_decoder = msgspec.json.Decoder(Schedule)
_options_decoder = msgspec.json.Decoder(ScheduleOptions)
_event_type_decoder = msgspec.json.Decoder(_EventType)
_event_decoders: dict[str, msgspec.json.Decoder[TaskStateEvent] | msgspec.json.Decoder[LeaderEvent]] = {
    TASK_STATE_EVENT: msgspec.json.Decoder(TaskStateEvent),
    LEADER_EVENT: msgspec.json.Decoder(LeaderEvent),
}


def decode_task(data: bytes) -> Task:
    """Decode a stored task.

    Raises:
        CorruptTaskError: Not a task document, or it holds an invalid name, number or timestamp.
    """
    try:
        return check_task(_task_decoder.decode(data))
    except _UNREADABLE as e:
        msg = f"corrupt task: {e}"
        raise CorruptTaskError(msg) from e


def decode_item(data: bytes) -> WorkItem:
    """Decode a work item.

    Raises:
        CorruptItemError: Not a work item, of an unknown kind, or without a valid task id.
    """
    try:
        item = _item_decoder.decode(data)
    except _UNREADABLE as e:
        msg = f"corrupt work item: {e}"
        raise CorruptItemError(msg) from e
    if item.kind != TASK_ITEM or not is_valid_name(item.job):
        msg = f"corrupt work item: kind {item.kind}, job {item.job[:40]!r}; use kind {TASK_ITEM} and a task id"
        raise CorruptItemError(msg)
    return item


def decode_schedule(data: bytes) -> Schedule:
    """Decode a stored schedule.

    Raises:
        DecodeError: Not a schedule document, or it holds an invalid name, number or timestamp.
    """
    try:
        return check_stored_schedule(_schedule_decoder.decode(data))
    except _UNREADABLE as e:
        msg = f"corrupt schedule: {e}"
        raise DecodeError(msg) from e


def decode_schedule_options(data: bytes) -> ScheduleOptions:
    """Decode the options of a schedule, which Choria Async Jobs does not have.

    Raises:
        DecodeError: Not a document of schedule options, or one of its values is out of range.
    """
    try:
        return _options_decoder.decode(data)
    except (*_UNREADABLE, AjobsError) as e:
        msg = f"corrupt schedule options: {e}"
        raise DecodeError(msg) from e


def decode_event(data: bytes) -> Event:
    """Decode an event of either type.

    Raises:
        DecodeError: Not an event document, of an unknown type, or with an invalid name or timestamp.
    """
    try:
        kind = _event_type_decoder.decode(data).type
        decoder = _event_decoders.get(kind)
        if decoder is None:
            msg = f"unknown event type {kind[:40]!r}"
            raise DecodeError(msg)
        return check_event(decoder.decode(data))
    except _UNREADABLE as e:
        msg = f"corrupt event: {e}"
        raise DecodeError(msg) from e


def encode_payload(payload: Any) -> bytes | None:
    """Encode a task's payload as JSON. ``None`` means no payload; ``bytes`` are passed on unchanged.

    Raises:
        InvalidPayloadError: The value cannot be encoded.
    """
    if payload is None or isinstance(payload, bytes):
        return payload
    return encode_value("payload", payload)


def encode_value(what: str, value: Any) -> bytes:
    """Encode a value as JSON. The text of an error calls it ``what``.

    Raises:
        InvalidPayloadError: The value cannot be encoded, or has NaN or infinity in it.
    """
    try:
        data = encode(value)
        # The encoder writes NaN and infinity as null, which would be another value on the other side.
        is_lossy = b"null" in data and _has_no_json_number(msgspec.to_builtins(value))
    except AjobsError:
        raise
    except Exception as e:
        # Encoders run code of the value's own type, which can raise anything.
        msg = f"cannot encode the {what} of type {type(value).__name__} as JSON: {e}"
        raise InvalidPayloadError(msg) from e
    if is_lossy:
        msg = (
            f"cannot encode the {what} of type {type(value).__name__} as JSON: it has NaN or infinity, use None or text"
        )
        raise InvalidPayloadError(msg)
    return data


def _has_no_json_number(value: Any) -> bool:
    """Return whether a value of plain types has a float that is not finite."""
    found: list[Any] = [value]
    for each in found:
        kind = type(each)  # pyright: ignore[reportUnknownVariableType] - any value
        if kind is float:
            if not math.isfinite(each):
                return True
        elif kind is dict:
            found += each.values()
        elif kind in _SEQUENCES:
            found += each
    return False


_SEQUENCES = frozenset({list, tuple, set, frozenset})


def decode_payload(payload: bytes | None, payload_type: type[T] | Any) -> T:
    """Decode a task's payload to a type that msgspec supports. A missing payload is decoded as JSON's ``null``.

    Raises:
        InvalidPayloadError: It does not fit the type. The text has the path of the field, such as ``$.user.id``.
    """
    try:
        return msgspec.json.decode(payload or b"null", type=payload_type)
    except _UNREADABLE as e:
        msg = f"the payload does not fit: {e}"
        raise InvalidPayloadError(msg) from e


def decode_result(result: Result | None, result_type: type[T] | Any) -> T:
    """Decode a task's result to a type that msgspec supports. A missing result is decoded as JSON's ``null``.

    Raises:
        InvalidPayloadError: It does not fit the type.
    """
    raw = JSON_NULL if result is None else result.payload
    try:
        return msgspec.json.decode(raw, type=result_type)
    except _UNREADABLE as e:
        msg = f"the result does not fit: {e}"
        raise InvalidPayloadError(msg) from e
