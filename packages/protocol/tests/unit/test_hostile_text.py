"""Text from outside is bounded: names, numbers and times of documents, durations, headers, and what logs show."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ajobs.protocol import codec
from ajobs.protocol.buckets import decode_progress, decode_reservation
from ajobs.protocol.durations import parse_duration
from ajobs.protocol.errors import (
    ConfigurationError,
    CorruptItemError,
    CorruptTaskError,
    DecodeError,
    InvalidDurationError,
    InvalidNameError,
    InvalidTimestampError,
)
from ajobs.protocol.headers import status_of
from ajobs.protocol.names import MAX_NAME_LENGTH, check_name
from ajobs.protocol.presence import decode_presence
from ajobs.protocol.subjects import item_subject, task_state_subject
from ajobs.protocol.task import MAX_DEPENDENCIES, new_task
from ajobs.protocol.text import printable, printable_json
from ajobs.protocol.timestamps import parse_timestamp

CREATED = "2022-02-02T13:04:26Z"
LONGEST = "a" * MAX_NAME_LENGTH
TOO_LONG = LONGEST + "a"
HOSTILE = ["", " x", "a\n", "a b", "a.b", "*", ">", "x 5\r\nPUB y", "ü", "\0", TOO_LONG, "a" * 4_200]
TASK = {"id": "a", "type": "t", "queue": "Q", "state": "new", "created": CREATED, "tries": 0, "max_tries": 1}
RESULT = {"payload": 1, "completed": CREATED}
EVENT = {"event_id": "e", "type": "io.choria.asyncjobs.v1.task_state", "timestamp": CREATED, "task_id": "a"}
EVENT |= {"state": "new", "queue": "Q", "task_type": "t"}
SCHEDULE = {"name": "s", "schedule": "@daily", "queue": "Q", "task_type": "t", "created_at": CREATED}
WORKER = {"id": "w", "name": "n", "host": "h", "pid": 1, "version": "1", "state": "running", "started": CREATED}
WORKER |= {"updated": CREATED, "concurrency": 1, "queues": [], "handlers": []}
DOCUMENTS = [(codec.decode_task, TASK), (codec.decode_event, EVENT), (codec.decode_schedule, SCHEDULE)]


def encoded(document: dict[str, object], **fields: object) -> bytes:
    return json.dumps(document | fields).encode()


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: repr(name[:20]))
def test_a_hostile_name_is_refused_in_every_document(name):
    for document in (
        encoded(TASK, id=name),
        encoded(TASK, type=name),
        encoded(TASK, dependencies=["a", name]),
    ):
        with pytest.raises(CorruptTaskError):
            codec.decode_task(document)
    with pytest.raises(CorruptItemError):
        codec.decode_item(encoded({"kind": 0, "job": name}))
    for decode, document in (
        (codec.decode_event, encoded(EVENT, task_id=name)),
        (codec.decode_event, encoded(EVENT, task_type=name)),
        (codec.decode_schedule, encoded(SCHEDULE, name=name)),
        (codec.decode_schedule, encoded(SCHEDULE, task_type=name)),
        (decode_presence, encoded(WORKER, id=name)),
        (decode_reservation, encoded({"by": "b", "request": "r", "task_id": name, "created_ns": 1})),
    ):
        with pytest.raises(DecodeError):
            decode(document)


@pytest.mark.parametrize("queue", ["a b", "a\r\nPUB", "a.b", "*", ">", "a" * 244, "a/b", "\u2028"])
def test_the_queue_of_a_document_cannot_split_a_subject(queue):
    for decode, document in DOCUMENTS:
        with pytest.raises(DecodeError):
            decode(encoded(document, queue=queue))


@pytest.mark.parametrize("queue", ["", "DEFAULT", "a+b", "größe", "a" * 243])
def test_a_queue_that_go_can_create_is_accepted_in_documents(queue):
    for decode, document in DOCUMENTS:
        assert decode(encoded(document, queue=queue)).queue == queue


def test_the_longest_names_fit_into_a_line_of_the_protocol():
    assert codec.decode_task(encoded(TASK, id=LONGEST, type=LONGEST, dependencies=[LONGEST])).id == LONGEST
    assert len(item_subject("a" * MAX_NAME_LENGTH, LONGEST)) < 3_900
    assert len(task_state_subject(LONGEST)) < 3_900
    with pytest.raises(InvalidNameError, match=r"invalid task id 'a{20}'\.\.\. of 1,001 characters: use up to 1,000"):
        check_name("task id", TOO_LONG)


def test_the_number_of_dependencies_is_limited_when_creating_and_when_reading():
    parents = [f"p{number}" for number in range(MAX_DEPENDENCIES + 1)]
    assert codec.decode_task(encoded(TASK, dependencies=parents[1:]))
    with pytest.raises(CorruptTaskError, match="invalid number of dependencies 1,001: use up to 1,000"):
        codec.decode_task(encoded(TASK, dependencies=parents))
    with pytest.raises(ConfigurationError, match="dependencies"):
        new_task("t", None, task_id="a", now_ns=1, dependencies=parents)


@pytest.mark.parametrize(
    "fields", [{"tries": -1}, {"tries": 1 << 63}, {"max_tries": 1 << 63}, {"max_tries": -(1 << 63) - 1}], ids=str
)
def test_a_number_that_go_cannot_hold_and_negative_tries_are_refused(fields):
    with pytest.raises(CorruptTaskError):
        codec.decode_task(encoded(TASK, **fields))


def test_a_negative_max_tries_is_no_limit_as_in_go():
    task = codec.decode_task(encoded(TASK, max_tries=-1, tries=7))
    assert not task.is_out_of_tries()


@pytest.mark.parametrize("field", ["result", "dependency_results"])
def test_a_result_that_is_not_utf8_is_refused(field):
    value = {"a": RESULT} if field == "dependency_results" else RESULT
    document = encoded(TASK, **{field: value})
    assert codec.decode_task(document)
    with pytest.raises(CorruptTaskError):
        codec.decode_task(document.replace(b'"payload": 1', b'"payload": "\xff"'))


def test_deep_documents_are_refused():
    deep = b"[" * 100_000 + b"]" * 100_000
    for decode in (codec.decode_task, codec.decode_item, decode_presence, decode_reservation, decode_progress):
        with pytest.raises(DecodeError):
            decode(b'{"x":' + deep + b"}")


@pytest.mark.parametrize("text", ["1111s" * 38 + "x", "1" * 199 + "x", "1.1.1." * 33, ".1s1" * 49 + "x", "1" * 10**6])
def test_a_duration_that_does_not_match_is_refused_at_once(text):
    # The pattern had many ways to match the same digits, so that this took longer than the age of the universe.
    with pytest.raises(InvalidDurationError):
        parse_duration(text)


def test_a_duration_keeps_the_forms_of_go():
    assert [parse_duration(text) for text in ("1.s", ".5s", "1.5h1m", "-1.25ms", "11s11ms")] == [
        10**9, 5 * 10**8, 5_460 * 10**9, -1_250_000, 11_011 * 10**6,
    ]  # fmt: skip


def test_a_time_is_bounded():
    assert parse_timestamp(f"2022-02-02T13:04:26.{'1' * 43}Z") % 10**9 == 111_111_111
    with pytest.raises(InvalidTimestampError, match="of 10,021 characters"):
        parse_timestamp(f"2022-02-02T13:04:26.{'1' * 10_000}Z")


def test_the_status_of_a_header_block_is_text_whatever_its_bytes():
    assert status_of(b"NATS/1.0 \xff\xfe\xfd\r\n\r\n") == "\ufffd" * 3


@given(st.text())
def test_any_text_is_shown_as_one_line_without_control_characters(text):
    assert printable(text).isprintable()


@given(st.text())
def test_escaped_json_has_the_same_value(text):
    shown = printable_json(json.dumps(text, ensure_ascii=False))
    assert shown.isprintable()
    assert json.loads(shown) == text


def test_marks_of_direction_and_control_sequences_are_escaped():
    assert printable("a\x1b[2Jb\n\u202ec\x9d\r") == "a\\x1b[2Jb \\u202ec\\x9d\\r"
