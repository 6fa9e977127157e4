"""Options: what contradicts itself is refused, and secrets do not show."""

from __future__ import annotations

import pickle
from datetime import timedelta

import msgspec
import pytest

from ajobs.client import ClientOptions, ConnectOptions, Queue
from ajobs.client.options import keys_of, queue_of
from ajobs.client.settings import Settings, split_settings
from ajobs.client.tasks.new import make_task
from ajobs.protocol.errors import (
    ConfigurationError,
    InvalidArgumentError,
    InvalidKeyError,
)
from ajobs.protocol.queue import queue_consumer_config, queue_from_config, queue_stream_config
from ajobs.protocol.signing import Signer

SEED = bytes(range(32))


def test_the_settings_are_the_fields_of_both_options_but_the_servers():
    fields = set(ClientOptions.__struct_fields__) | set(ConnectOptions.__struct_fields__) - {"servers"}
    assert set(Settings.__annotations__) == fields


def test_settings_go_to_the_options_that_have_them(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    connect, client = split_settings("nats://a, nats://b", {"user": "u", "password": "p", "replicas": 3})
    assert connect.urls == ("nats://a", "nats://b")
    assert (connect.user, client.replicas) == ("u", 3)


def test_an_unknown_setting_is_refused_with_the_known_ones():
    unknown: Settings = {"colour": "red"}
    with pytest.raises(ConfigurationError, match=r"colour.*replicas"):
        split_settings(None, unknown)


@pytest.mark.parametrize(
    "wrong",
    [
        {"replicas": 0},
        {"replicas": 6},
        {"task_retention": -1},
        {"request_timeout": 0},
        {"bind": True},
        {"signing_key": SEED, "signing_seed_file": "f"},
        {"verification_key": "00", "verification_key_file": "f"},
        {"signing_seed_file": "f", "verification_key": "00"},
        {"signing_seed_file": "f", "verification_key_file": "f"},
    ],
    ids=str,
)
def test_client_options_that_cannot_work_are_refused(wrong):
    with pytest.raises(ConfigurationError):
        ClientOptions(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"js_domain": "d", "js_api_prefix": "p"},
        {"tls_cert": "c"},
        {"tls_key": "k"},
        {"user": "u", "token": "t"},
        {"credentials_file": "f", "nkey_seed_file": "n"},
    ],
    ids=str,
)
def test_connection_options_that_contradict_themselves_are_refused(wrong):
    with pytest.raises(ConfigurationError):
        ConnectOptions(**wrong)


def test_secrets_are_not_shown():
    shown = repr(ConnectOptions(servers=("nats://me:hunter2@host:1",), user="u", password="sesame"))
    shown += repr(ConnectOptions(token="open")) + repr(ClientOptions(signing_key=SEED))
    assert "host:1" in shown
    for secret in ("hunter2", "sesame", "open'", repr(SEED)):
        assert secret not in shown


@pytest.mark.parametrize(
    ("options", "prefix"),
    [({}, "$JS.API"), ({"js_domain": "hub"}, "$JS.hub.API"), ({"js_api_prefix": "from.hub."}, "from.hub")],
)
def test_the_api_prefix_follows_the_domain(options, prefix):
    assert ConnectOptions(**options).api_prefix == prefix


def test_a_seed_file_also_verifies(tmp_path):
    file = tmp_path / "seed"
    file.write_text(SEED.hex() + "\n")
    keys = keys_of(ClientOptions(signing_seed_file=file))
    assert keys.signer is not None
    assert keys.verifier is not None
    assert keys.verifier.matches(b"m", keys.signer.sign(b"m"))


def test_a_verification_key_is_accepted_as_bytes_hex_or_file(tmp_path):
    signer = Signer(SEED)
    file = tmp_path / "public"
    file.write_text(signer.public_key_hex)
    for options in (
        {"verification_key": signer.public_key_hex},
        {"verification_key": bytes.fromhex(signer.public_key_hex)},
        {"verification_key_file": file},
    ):
        verifier = keys_of(ClientOptions(**options)).verifier
        assert verifier is not None
        assert verifier.matches(b"m", signer.sign(b"m"))


def test_a_key_file_that_cannot_be_used_is_refused_without_its_content(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file"):
        keys_of(ClientOptions(signing_seed_file=tmp_path / "missing"))
    file = tmp_path / "seed"
    file.write_text("hunter2")
    with pytest.raises(InvalidKeyError) as caught:
        keys_of(ClientOptions(signing_seed_file=file))
    assert "hunter2" not in str(caught.value)


def test_the_default_queue_has_the_settings_of_go():
    queue = queue_of(ClientOptions())
    assert (queue.name, queue.max_run_time, queue.max_tries, queue.max_concurrent) == (
        "DEFAULT",
        timedelta(minutes=1),
        100,
        100,
    )
    assert queue_of(ClientOptions(queue="EMAIL")) == Queue(name="EMAIL")


@pytest.mark.parametrize(
    "wrong",
    [{"name": "a.b"}, {"max_age": -1}, {"max_entries": -2}, {"max_tries": -2}, {"max_run_time": 0}],
    ids=str,
)
def test_queue_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InvalidArgumentError):
        Queue(**({"name": "Q"} | wrong))


def test_a_queue_survives_its_stream_and_consumer():
    queue = Queue(name="Q", max_age=5e-09, max_entries=3, discard_old=True, max_tries=7, max_concurrent=9)
    stream = queue_stream_config(queue, replicas=3, memory=True)
    assert queue_from_config("Q", stream, queue_consumer_config(queue)) == queue
    assert (stream["retention"], stream["max_msgs_per_subject"], stream["storage"]) == ("workqueue", 1, "memory")


def test_a_deadline_needs_a_zone():
    from datetime import datetime

    with pytest.raises(ConfigurationError, match="zone"):
        make_task("t", 1, deadline=datetime(2030, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    "options",
    [
        ConnectOptions(password="sesame", user="u"),
        ConnectOptions(token="sesame"),
        ConnectOptions(servers=("nats://u:sesame@h",)),
        ClientOptions(signing_key=b"sesame" * 5 + b"ab"),
    ],
    ids=["password", "token", "URL", "seed"],
)
def test_options_do_not_write_secrets_out(options):
    for write in (
        pickle.dumps,
        msgspec.json.encode,
        msgspec.msgpack.encode,
        lambda it: pickle.dumps(msgspec.structs.asdict(it)),
    ):
        with pytest.raises(TypeError):
            write(options)
    assert "sesame" not in repr(options) + repr(msgspec.structs.asdict(options))
