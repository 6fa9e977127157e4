"""What each parser promises about any input: it raises its own error and nothing else, or returns something usable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from nats.aio.client import Client as NatsClient
from nats.errors import ProtocolError

from ajobs.client import ConnectOptions
from ajobs.client.nats.fast_path import MAX_CONTROL_LINE, MAX_SUBJECT, FastPath
from ajobs.client.schedules.cron import parse_recurrence
from ajobs.client.tasks.ages import moment_ns, parse_age
from ajobs.client.tasks.pages import page_start
from ajobs.protocol import codec, subjects
from ajobs.protocol.buckets import decode_progress, decode_reservation
from ajobs.protocol.durations import MAX_DURATION_NS, format_duration, parse_duration
from ajobs.protocol.errors import (
    AjobsError,
    ConfigurationError,
    CorruptItemError,
    CorruptTaskError,
    DecodeError,
    InvalidDurationError,
    InvalidKeyError,
    InvalidNameError,
    InvalidScheduleError,
    InvalidTimestampError,
)
from ajobs.protocol.headers import header_block, parse_headers, status_of
from ajobs.protocol.ids import format_ksuid, parse_ksuid
from ajobs.protocol.presence import decode_presence
from ajobs.protocol.signing import KEY_BYTES, Signer, Verifier, parse_key, verify_task
from ajobs.protocol.task import is_past_deadline
from ajobs.protocol.text import printable
from ajobs.protocol.timestamps import format_timestamp, parse_timestamp
from tests.fuzz import inputs

NOW_NS = 1_700_000_000 * 10**9
VERIFIER = Verifier(bytes.fromhex(Signer(bytes(32)).public_key_hex))


@dataclass(frozen=True)
class Target:
    """A parser, its inputs, and what it promises."""

    inputs: st.SearchStrategy[Any]
    check: Callable[[Any], None]


def check_subject(subject: str) -> None:
    """Fail if a server could read a subject as anything else."""
    assert len(subject.encode()) <= MAX_SUBJECT
    assert not any(char.isspace() or ord(char) < ord(" ") or char in "*>" for char in subject)


def check_task(data: bytes) -> None:
    try:
        task = codec.decode_task(data)
    except CorruptTaskError as e:
        check_text(str(e))
        return
    check_subject(subjects.task_subject(task.id))
    check_subject(subjects.item_subject(task.queue or "Q", task.id))
    check_subject(subjects.remote_handler_subject(task.type))
    for parent_id in task.dependencies or ():
        check_subject(subjects.task_subject(parent_id))
    is_past_deadline(task, NOW_NS)
    with suppress(AjobsError):
        verify_task(task, VERIFIER, optional=False)
    assert codec.decode_task(codec.encode(task)) == task


def check_text(text: str) -> None:
    assert printable(text).isprintable()


def check_item(data: bytes) -> None:
    with suppress(CorruptItemError):
        check_subject(subjects.task_subject(codec.decode_item(data).job))


def check_schedule(data: bytes) -> None:
    try:
        schedule = codec.decode_schedule(data)
    except DecodeError:
        return
    check_subject(subjects.item_subject(schedule.queue or "Q", "a"))
    check_subject(subjects.key_subject("B", subjects.schedule_key(schedule.name)))
    check_recurrence(schedule.schedule)


def decodes(decode: Callable[[bytes], object]) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        with suppress(DecodeError):
            decode(data)

    return check


def check_duration(text: str) -> None:
    with suppress(InvalidDurationError):
        duration_ns = parse_duration(text)
        assert -MAX_DURATION_NS - 1 <= duration_ns <= MAX_DURATION_NS
        assert parse_duration(format_duration(duration_ns)) == duration_ns


def check_moment(text: str) -> None:
    with suppress(InvalidDurationError):
        parse_age(text)
    with suppress(ConfigurationError):
        moment_ns("since", text)


def check_timestamp(text: str) -> None:
    with suppress(InvalidTimestampError):
        moment = parse_timestamp(text)
        with suppress(InvalidTimestampError):  # an offset can lead out of the years 1 to 9999
            assert parse_timestamp(format_timestamp(moment)) == moment


def check_recurrence(text: str) -> None:
    with suppress(InvalidScheduleError):
        assert parse_recurrence(text, NOW_NS).next_after(NOW_NS) > NOW_NS


def check_cursor(text: str) -> None:
    with suppress(ConfigurationError):
        assert page_start(1, text) >= 0


def check_ksuid(text: str) -> None:
    with suppress(InvalidNameError):
        assert format_ksuid(*parse_ksuid(text)) == text


def check_key(text: str) -> None:
    assert not VERIFIER.matches(b"m", text)
    with suppress(InvalidKeyError):
        assert len(parse_key("seed", text)) == KEY_BYTES


def check_servers(text: str) -> None:
    with suppress(ConfigurationError):
        assert ConnectOptions(servers=(text,)).urls


def check_headers(raw: bytes) -> None:
    found = parse_headers(raw)
    assert isinstance(status_of(raw), str)
    with suppress(UnicodeEncodeError):
        assert header_block(found).count(b"\r\n\r\n") <= 1


def check_stream(chunks: list[bytes]) -> None:
    asyncio.run(_read(chunks))


async def _read(chunks: list[bytes]) -> None:
    path = FastPath.of(NatsClient())
    received: list[tuple[bytes, ...]] = []
    path.register(1, lambda *message: received.append(message))
    for chunk in chunks:
        try:
            await path.parse(chunk)
        except ProtocolError:
            path.reset()
    assert len(received) <= sum(map(len, chunks))
    assert sum(map(len, path._chunks)) <= MAX_CONTROL_LINE + sum(map(len, chunks))


TARGETS: dict[str, Target] = {
    "task": Target(inputs.documents(inputs.TASK), check_task),
    "item": Target(inputs.documents(inputs.ITEM), check_item),
    "schedule": Target(inputs.documents(inputs.SCHEDULE), check_schedule),
    "schedule options": Target(inputs.documents(inputs.OPTIONS), decodes(codec.decode_schedule_options)),
    "task event": Target(inputs.documents(inputs.EVENT), decodes(codec.decode_event)),
    "leader event": Target(inputs.documents(inputs.LEADER), decodes(codec.decode_event)),
    "presence": Target(inputs.documents(inputs.WORKER), decodes(decode_presence)),
    "reservation": Target(inputs.documents(inputs.RESERVATION), decodes(decode_reservation)),
    "progress": Target(inputs.documents(inputs.PROGRESS), decodes(decode_progress)),
    "duration": Target(inputs.hostile_texts, check_duration),
    "moment": Target(inputs.hostile_texts, check_moment),
    "timestamp": Target(inputs.hostile_texts, check_timestamp),
    "cron": Target(inputs.hostile_texts, check_recurrence),
    "cursor": Target(inputs.hostile_texts, check_cursor),
    "ksuid": Target(inputs.hostile_texts, check_ksuid),
    "key": Target(inputs.hostile_texts, check_key),
    "servers": Target(inputs.hostile_texts, check_servers),
    "shown text": Target(inputs.hostile_texts, check_text),
    "headers": Target(inputs.header_blocks, check_headers),
    "fast path": Target(inputs.streams, check_stream),
}
