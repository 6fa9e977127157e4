"""Every document, signature, id, duration and name written by Go is decoded, and encoded to the same bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ajobs.protocol import codec
from ajobs.protocol.durations import as_ns, format_duration, parse_duration
from ajobs.protocol.errors import InvalidDurationError, InvalidNameError
from ajobs.protocol.ids import format_ksuid, parse_ksuid
from ajobs.protocol.names import check_name, is_valid_name
from ajobs.protocol.retry import RETRY_POLICIES
from ajobs.protocol.signing import Signer, Verifier, signature_message, verify_task

VECTORS = json.loads((Path(__file__).with_name("go-wire.json")).read_bytes())
SIGNED = [vector for vector in VECTORS["tasks"] if "signature" in vector]


def named(vector):
    return vector["name"] if isinstance(vector, dict) and "name" in vector else None


@pytest.mark.parametrize(
    ("decode", "vector"),
    [
        *((codec.decode_task, vector) for vector in VECTORS["tasks"]),
        *((codec.decode_event, vector) for vector in VECTORS["events"]),
        *((codec.decode_schedule, vector) for vector in VECTORS["scheduled_tasks"]),
        *((codec.decode_item, vector) for vector in VECTORS["work_items"]),
    ],
    ids=named,
)
def test_a_document_of_go_keeps_every_value(decode, vector):
    assert json.loads(codec.encode(decode(vector["wire"].encode()))) == json.loads(vector["wire"])


@pytest.mark.parametrize("vector", VECTORS["tasks"], ids=named)
def test_fields_have_the_order_in_which_go_writes_them(vector):
    encoded = json.loads(codec.encode(codec.decode_task(vector["wire"].encode())))
    assert list(encoded) == list(json.loads(vector["wire"]))


@pytest.mark.parametrize("vector", SIGNED, ids=named)
def test_a_signature_of_go_covers_the_same_bytes_and_verifies_and_is_reproduced(vector):
    task = codec.decode_task(vector["wire"].encode())
    assert signature_message(task).decode() == vector["signature_message"]
    verify_task(task, Verifier(bytes.fromhex(VECTORS["public_key_hex"])), optional=False)
    assert Signer(bytes.fromhex(VECTORS["seed_hex"])).sign(signature_message(task)) == vector["signature"]


def test_the_public_key_of_the_seed_is_the_one_that_go_derives():
    assert Signer(bytes.fromhex(VECTORS["seed_hex"])).public_key_hex == VECTORS["public_key_hex"]


@pytest.mark.parametrize("vector", VECTORS["durations"], ids=lambda vector: vector["text"])
def test_a_duration_is_parsed_and_formatted_as_in_go(vector):
    assert parse_duration(vector["text"]) == vector["ns"]
    assert format_duration(vector["ns"]) == vector["formatted"]


@pytest.mark.parametrize("text", VECTORS["invalid_durations"])
def test_a_duration_that_go_refuses_is_refused(text):
    with pytest.raises(InvalidDurationError):
        parse_duration(text)


@pytest.mark.parametrize("vector", VECTORS["ksuids"], ids=lambda vector: vector["text"])
def test_a_ksuid_is_formatted_and_parsed_as_in_go(vector):
    parts = (vector["unix_seconds"], bytes.fromhex(vector["payload_hex"]))
    assert format_ksuid(*parts) == vector["text"]
    assert parse_ksuid(vector["text"]) == parts


@pytest.mark.parametrize("text", VECTORS["valid_names"])
def test_a_valid_name_is_accepted(text):
    assert is_valid_name(text)
    assert check_name("task type", text) == text


@pytest.mark.parametrize("text", VECTORS["invalid_names"])
def test_an_invalid_name_is_refused(text):
    assert not is_valid_name(text)
    with pytest.raises(InvalidNameError):
        check_name("task type", text)


@pytest.mark.parametrize("name", VECTORS["retry_policies"])
def test_a_retry_policy_has_the_intervals_and_the_jitter_of_go(name):
    policy, vector = RETRY_POLICIES[name], VECTORS["retry_policies"][name]
    assert list(map(as_ns, policy.intervals)) == vector["intervals_ns"]
    assert policy.jitter == vector["jitter"]
