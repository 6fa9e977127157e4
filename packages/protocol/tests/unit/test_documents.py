"""Documents survive encoding, and no bytes whatever break a decoder in another way than by DecodeError."""

from __future__ import annotations

import json
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ajobs.protocol import codec
from ajobs.protocol.errors import (
    CorruptItemError,
    CorruptTaskError,
    DecodeError,
    InvalidArgumentError,
    InvalidPayloadError,
)
from ajobs.protocol.events import LeaderEvent, leader_event, task_state_event
from ajobs.protocol.ids import format_ksuid
from ajobs.protocol.item import WorkItem
from ajobs.protocol.schedule import Schedule
from ajobs.protocol.states import TaskState
from ajobs.protocol.task import Result, Task, new_task
from ajobs.protocol.timestamps import Timestamp, parse_timestamp
from packages.protocol.tests.unit.strategies import json_values, names, tasks, times

TASK = {"id": "a", "type": "t", "queue": "Q", "payload": None, "max_tries": 1, "state": "new", "tries": 0}
TASK["created"] = "2022-02-02T13:04:26Z"
DECODERS = [codec.decode_task, codec.decode_item, codec.decode_schedule, codec.decode_event]


@given(tasks)
def test_any_task_survives(task):
    assert codec.decode_task(codec.encode(task)) == task


@given(names)
def test_any_work_item_survives(task_id):
    assert codec.decode_item(codec.encode(WorkItem(job=task_id))) == WorkItem(job=task_id)


@given(
    st.builds(
        Schedule,
        name=names,
        schedule=st.text(st.characters(codec="utf-8")),
        queue=names,
        task_type=names,
        payload=st.none() | st.binary(max_size=40),
        deadline=st.integers(0, 2**62),
        created_at=times,
    )
)
def test_any_schedule_survives(schedule):  # fmt: skip
    assert codec.decode_schedule(codec.encode(schedule)) == schedule


@given(tasks, st.integers(1_400_000_000, 1_400_000_000 + 2**32 - 1), st.binary(min_size=16, max_size=16))
def test_any_event_survives_with_the_fields_of_its_task(task, unix_s, payload):
    event_id = format_ksuid(unix_s, payload)
    event = task_state_event(task, event_id=event_id, unix_s=unix_s, now_ns=parse_timestamp(task.created) + 5)
    assert codec.decode_event(codec.encode(event)) == event
    assert (event.task_id, event.state, event.tries, event.task_age) == (task.id, task.state, task.tries, 5)


def test_a_leader_event_survives():
    event = leader_event("host", "task_scheduler", event_id=format_ksuid(1_600_000_000, bytes(16)))
    assert event.timestamp == "2020-09-13T12:26:40Z"
    decoded = codec.decode_event(codec.encode(event))
    assert isinstance(decoded, LeaderEvent)
    assert decoded == event


@pytest.mark.parametrize("decode", DECODERS)
@given(
    data=st.binary()
    | json_values.map(msgspec.json.encode)
    | st.dictionaries(
        st.sampled_from(["id", "type", "state", "created", "kind", "job", "event_id", "timestamp", "name", "payload"]),
        json_values | st.just("new") | st.just("io.choria.asyncjobs.v1.task_state"),
    ).map(msgspec.json.encode)
)
def test_arbitrary_bytes_raise_decode_error_and_nothing_else(decode, data):  # fmt: skip
    try:
        decode(data)
    except DecodeError:
        return


@pytest.mark.parametrize("decode", DECODERS)
def test_a_deeply_nested_document_is_corrupt(decode):
    with pytest.raises(DecodeError):
        decode(b'{"result":{"payload":' + b"[" * 1_000_000)


@pytest.mark.parametrize(
    "change",
    [
        {"created": "yesterday"},
        {"created": "2022-02-30T00:00:00Z"},
        {"deadline": "2022-02-02"},
        {"tried": ""},
        {"state": "running"},
        {"payload": "not base64!"},
        {"max_tries": "10"},
        {"id": None},
        {"result": {"payload": 1, "completed": "soon"}},
        {"dependency_results": {"a": {"payload": 1, "completed": "soon"}}},
    ],
    ids=str,
)
def test_a_task_with_a_wrong_value_is_corrupt(change):
    assert codec.decode_task(json.dumps(TASK).encode())
    with pytest.raises(CorruptTaskError):
        codec.decode_task(json.dumps(TASK | change).encode())


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"kind":1,"job":"a"}', b'{"kind":0,"job":""}', b'{"kind":0,"job":"a.b"}']
)
def test_an_item_without_a_valid_task_id_is_corrupt(data):
    with pytest.raises(CorruptItemError):
        codec.decode_item(data)


def test_unknown_fields_are_ignored():
    assert codec.decode_task(json.dumps(TASK | {"color": "red"}).encode()).id == "a"


def test_an_unknown_type_of_event_is_named():
    with pytest.raises(DecodeError, match=r"io\.example\.other"):
        codec.decode_event(b'{"type":"io.example.other"}')


@given(json_values)
def test_a_payload_is_encoded_and_decoded(value):
    encoded = codec.encode_payload(value)
    assert codec.decode_payload(encoded, object) == value


def test_bytes_are_an_unchanged_payload_and_none_means_no_payload():
    assert codec.encode_payload(b"\x00raw") == b"\x00raw"
    assert codec.encode_payload(None) is None
    assert codec.decode_payload(None, int | None) is None


def test_a_payload_that_cannot_be_encoded_names_its_type():
    with pytest.raises(InvalidPayloadError, match="object"):
        codec.encode_payload(object())


class User(msgspec.Struct):
    id: int


class Order(msgspec.Struct):
    user: User


def test_a_payload_that_does_not_fit_names_the_path():
    with pytest.raises(InvalidPayloadError, match=r"\$\.user\.id"):
        codec.decode_payload(b'{"user":{"id":"x"}}', Order)


def test_a_result_is_decoded_to_a_type():
    result = Result(payload=msgspec.Raw(b'{"id":3}'), completed=Timestamp("2022-02-02T13:04:26Z"))
    assert codec.decode_result(result, User) == User(3)
    with pytest.raises(InvalidPayloadError):
        codec.decode_result(result, int)
    assert codec.decode_result(None, object) is None


def test_a_new_task_is_blocked_when_it_depends_on_others_each_of_which_counts_once():
    task = new_task("t", b"1", task_id="x", now_ns=0, dependencies=["a", "b", "a"])
    assert (task.state, task.dependencies) == (TaskState.BLOCKED, ("a", "b"))
    assert new_task("t", None, task_id="x", now_ns=0).state is TaskState.NEW


@pytest.mark.parametrize(
    "wrong",
    [{"task_type": "a b"}, {"task_type": ""}, {"task_id": "a.b"}, {"dependencies": ["*"]}, {"dependencies": ["x"]},
     {"max_tries": -1}],
    ids=str,
)  # fmt: skip
def test_a_new_task_with_a_wrong_value_is_refused(wrong):
    values = {"task_type": "t", "payload": None, "task_id": "x", "now_ns": 0} | wrong
    with pytest.raises(InvalidArgumentError):
        new_task(**values)


def test_omitted_fields_of_a_task_take_their_defaults():
    task = codec.decode_task(b'{"id":"a","type":"t","state":"new","created":"2022-02-02T13:04:26Z"}')
    assert task == Task(id="a", type="t", state=TaskState.NEW, created=Timestamp("2022-02-02T13:04:26Z"))


@pytest.mark.parametrize(
    "value", [math.nan, {"a": [None, {"b": math.inf}]}, (-math.inf,), msgspec.defstruct("S", [("x", float)])(math.nan)]
)
def test_a_number_that_json_does_not_have_is_refused(value):
    with pytest.raises(InvalidPayloadError, match="it has NaN or infinity"):
        codec.encode_payload(value)


def test_null_and_the_text_null_are_encoded():
    assert codec.encode_payload({"a": None, "b": "null", "c": [1.5, None]}) == b'{"a":null,"b":"null","c":[1.5,null]}'
