"""Configurations and documents of key-value buckets."""

from __future__ import annotations

import pytest

from ajobs.protocol.buckets import (
    DUPLICATE_WINDOW_NS,
    ELECTION_TTL_NS,
    Reservation,
    SchedulerProgress,
    bucket_config,
    configuration_bucket,
    decode_progress,
    decode_reservation,
    elections_bucket,
    idempotency_bucket,
    presence_bucket,
)
from ajobs.protocol.codec import encode
from ajobs.protocol.errors import DecodeError
from ajobs.protocol.headers import header_block, parse_headers, status_of
from ajobs.protocol.subjects import bucket_stream, domain_api_prefix, key_subject
from ajobs.protocol.timestamps import Timestamp


def test_a_bucket_is_a_stream_with_one_message_for_each_key():
    config = bucket_config("B", "text", replicas=3, memory=True)
    assert (config["name"], config["subjects"]) == ("KV_B", ["$KV.B.>"])
    assert (config["max_msgs_per_subject"], config["num_replicas"], config["storage"]) == (1, 3, "memory")
    assert (bucket_stream("B"), key_subject("B", "a.b"), domain_api_prefix("hub")) == (
        "KV_B",
        "$KV.B.a.b",
        "$JS.hub.API",
    )


def test_the_duplicate_window_is_never_longer_than_a_value_lives():
    assert bucket_config("B", "", replicas=1, memory=False, ttl_ns=5)["duplicate_window"] == 5
    assert bucket_config("B", "", replicas=1, memory=False)["duplicate_window"] == DUPLICATE_WINDOW_NS


def test_each_bucket_keeps_its_values_for_its_own_time():
    found = {
        config["name"]: (config["max_age"], config["storage"])
        for config in (
            configuration_bucket(replicas=1, memory=False),
            elections_bucket(replicas=1, memory=False),
            presence_bucket(replicas=1),
            idempotency_bucket(replicas=1, memory=False),
        )
    }
    assert found == {
        "KV_CHORIA_AJ_CONFIGURATION": (0, "file"),
        "KV_CHORIA_AJ_ELECTIONS": (ELECTION_TTL_NS, "file"),
        "KV_CHORIA_AJ_WORKERS": (20 * 10**9, "memory"),
        "KV_CHORIA_AJ_IDEMPOTENCY": (600 * 10**9, "file"),
    }


def test_the_documents_of_buckets_survive_and_others_are_refused():
    reservation = Reservation("a", "b", "c", 5, stored=True)
    assert decode_reservation(encode(reservation)) == reservation
    progress = SchedulerProgress(Timestamp("2026-01-01T00:00:00Z"), "host-1")
    assert decode_progress(encode(progress)) == progress
    for decode in (decode_reservation, decode_progress):
        for data in (b"", b"{}", b"[1]", b'{"leader":"\xff"}'):
            with pytest.raises(DecodeError, match="invalid"):
                decode(data)


def test_a_header_block_is_parsed_as_it_was_built():
    block = header_block({"A": "b", "Trace": "one\r\ntwo"})
    assert block == b"NATS/1.0\r\nA: b\r\nTrace: one two\r\n\r\n"
    assert parse_headers(block) == {"A": "b", "Trace": "one two"}
    assert (header_block({}), header_block(None), status_of(block)) == (b"", b"", "")
    assert status_of(b"NATS/1.0 503\r\n\r\n") == "503"
