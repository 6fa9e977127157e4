"""A signature covers each signed field, and nothing of a key ever shows."""

from __future__ import annotations

import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ajobs.protocol.errors import (
    ConfigurationError,
    InvalidKeyError,
    TaskAlreadySignedError,
    TaskNotSignedError,
    TaskSignatureError,
)
from ajobs.protocol.signing import Signer, Verifier, parse_key, sign_task, verify_task
from ajobs.protocol.states import TaskState
from ajobs.protocol.task import Task, new_task
from ajobs.protocol.timestamps import ZERO_TIME, format_timestamp, parse_timestamp
from packages.protocol.tests.unit.strategies import names, tasks

LARGEST = 2**63 - 1
plain_names = st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True)
signable_times = st.integers(-LARGEST - 1, LARGEST).map(format_timestamp) | st.just(ZERO_TIME)

SIGNER = Signer(bytes(range(32)))
SIGNED_FIELDS = {
    "id": plain_names,
    "queue": plain_names,
    "type": names,
    "max_tries": st.integers(0, 100),
    "created": signable_times,
    "deadline": signable_times,
    "payload": st.binary(max_size=30),
}
signable = st.builds(
    lambda task, **fields: msgspec.structs.replace(task, **fields, signature=""),
    tasks,
    id=plain_names,
    queue=plain_names,
    created=signable_times,
    deadline=st.none() | signable_times,
)


@given(signable)
def test_a_signed_task_verifies(task):
    verify_task(sign_task(task, SIGNER), SIGNER.verifier, optional=False)


def _signed_value(task, field):
    """Return the part of a field that is signed: times as moments, a missing payload as an empty one."""
    value = getattr(task, field)
    if field in {"created", "deadline"} and value is not None:
        return parse_timestamp(value)
    return value or b"" if field == "payload" else value


@pytest.mark.parametrize("field", SIGNED_FIELDS)
@given(task=signable, data=st.data())
def test_changing_any_signed_field_breaks_the_signature(field, task, data):
    signed = sign_task(task, SIGNER)
    changed = msgspec.structs.replace(signed, **{field: data.draw(SIGNED_FIELDS[field])})
    same, now = _signed_value(task, field), _signed_value(changed, field)
    if now == same or (field in {"created", "deadline"} and ((now or 0) - (same or 0)) % 2**64 == 0):
        verify_task(changed, SIGNER.verifier, optional=False)
    else:
        with pytest.raises(TaskSignatureError):
            verify_task(changed, SIGNER.verifier, optional=False)


@given(signable)
def test_later_changes_of_state_do_not_break_the_signature(task):
    signed = sign_task(task, SIGNER)
    later = msgspec.structs.replace(signed, state=TaskState.RETRY, tries=7, last_err="x", result=None)
    verify_task(later, SIGNER.verifier, optional=False)


@given(signable, st.binary(min_size=32, max_size=32))
def test_another_key_does_not_verify(task, seed):
    other = Signer(seed)
    if other.public_key_hex != SIGNER.public_key_hex:
        with pytest.raises(TaskSignatureError):
            verify_task(sign_task(task, SIGNER), other.verifier, optional=True)


TASK = new_task("t", b"1", task_id="a", now_ns=1, queue="Q")


@pytest.mark.parametrize("signature", ["00", "zz" * 64, "ü" * 128, " " + "00" * 64, "AB" * 64, "00" * 64])
def test_a_text_that_is_not_a_signature_does_not_verify(signature):
    with pytest.raises(TaskSignatureError):
        verify_task(msgspec.structs.replace(TASK, signature=signature), SIGNER.verifier, optional=True)


def test_an_unsigned_task_is_refused_unless_signatures_are_optional():
    verify_task(TASK, SIGNER.verifier, optional=True)
    with pytest.raises(TaskNotSignedError):
        verify_task(TASK, SIGNER.verifier, optional=False)


def test_a_task_is_signed_once_and_needs_its_queue():
    with pytest.raises(TaskAlreadySignedError):
        sign_task(sign_task(TASK, SIGNER), SIGNER)
    with pytest.raises(ConfigurationError, match="queue"):
        sign_task(msgspec.structs.replace(TASK, queue=""), SIGNER)


@pytest.mark.parametrize("text", ["00", "secret-secret", "0" * 63, "00" * 33])
def test_a_wrong_key_is_refused_without_showing_it(text):
    with pytest.raises(InvalidKeyError) as caught:
        parse_key("seed", text)
    assert text not in str(caught.value)
    assert caught.value.__cause__ is None


def test_white_space_around_a_key_is_ignored():
    assert parse_key("seed", "00" * 32 + "\n") == bytes(32)
    with pytest.raises(InvalidKeyError):
        Verifier(b"short")


def test_a_signer_does_not_show_its_seed():
    assert bytes(range(32)).hex() not in repr(SIGNER) + str(SIGNER)


def forged(**fields):
    """Return a task whose signature is right for the bytes that are signed, and whose fields are others."""
    message = "K:A:dryrun:pay:0:1:0:MQ=="
    return Task(
        signature=SIGNER.sign(message.encode()),
        payload=b"1",
        state=TaskState.NEW,
        created=format_timestamp(1),
        max_tries=0,
        tries=0,
        **fields,
    )


def test_the_signed_text_can_be_read_as_one_task_only():
    verify_task(forged(id="K", queue="A", type="dryrun:pay"), SIGNER.verifier, optional=False)
    for fields in ({"id": "K:A", "queue": "dryrun", "type": "pay"}, {"id": "K", "queue": "A:dryrun", "type": "pay"}):
        with pytest.raises(TaskSignatureError, match="use an ID and a queue without ':'"):
            verify_task(forged(**fields), SIGNER.verifier, optional=False)
        with pytest.raises(ConfigurationError, match="use an ID and a queue without ':'"):
            sign_task(msgspec.structs.replace(forged(**fields), signature=""), SIGNER)


@pytest.mark.parametrize("field", ["created", "deadline"])
@pytest.mark.parametrize("turns", [-1, 1])
def test_a_signed_time_is_not_valid_modulo_64_bits(field, turns):
    now = 1_700_000_000 * 10**9
    signed = sign_task(
        msgspec.structs.replace(TASK, created=format_timestamp(now), deadline=format_timestamp(now)), SIGNER
    )
    changed = msgspec.structs.replace(signed, **{field: format_timestamp(now + turns * 2**64)})
    with pytest.raises(TaskSignatureError, match="a signature that no task like it can have"):
        verify_task(changed, SIGNER.verifier, optional=False)


def test_while_keys_are_changed_either_key_verifies_and_no_other():
    old, new, other = SIGNER, Signer(bytes(32)), Signer(b"x" * 32)
    both = Verifier(bytes.fromhex(old.public_key_hex), bytes.fromhex(new.public_key_hex))
    for signer in (old, new):
        verify_task(sign_task(TASK, signer), both, optional=False)
    with pytest.raises(TaskSignatureError):
        verify_task(sign_task(TASK, other), both, optional=False)
    with pytest.raises(InvalidKeyError, match="no public key"):
        Verifier()


def test_a_signer_cannot_be_pickled():
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(SIGNER)
