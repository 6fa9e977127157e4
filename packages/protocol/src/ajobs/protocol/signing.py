"""Ed25519 signatures over the parts of a task that must not change between its producer and its worker.

The message that is signed is that of Choria Async Jobs: ``id:queue:type:...``. Types may hold colons, so an id or a
queue with one could be read as another task. Such tasks are neither signed nor accepted as signed, and neither are
times that do not fit the 64 bits of Go, because the message would hold them modulo 2**64.
"""

from __future__ import annotations

from base64 import b64encode
from typing import NoReturn

import msgspec
from nacl.bindings import crypto_sign, crypto_sign_BYTES, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import CryptoError

from ajobs.protocol.errors import (
    ConfigurationError,
    InvalidKeyError,
    TaskAlreadySignedError,
    TaskNotSignedError,
    TaskSignatureError,
)
from ajobs.protocol.task import Task, deadline_ns
from ajobs.protocol.timestamps import ZERO_TIME, parse_timestamp

KEY_BYTES = 32
_INT64 = 1 << 64
_INT64_SIGN = 1 << 63
_ZERO_NS = parse_timestamp(ZERO_TIME)


class Verifier:
    """Checks signatures with 32-byte public keys: one, or during a change of keys the old and the new one."""

    def __init__(self, *public_keys: bytes) -> None:
        """Take the keys, any of which may have signed.

        Raises:
            InvalidKeyError: No key is given, or one is not 32 bytes long.
        """
        if not public_keys:
            raise InvalidKeyError("no public key: pass at least one")
        self._public_keys = tuple(_check_length("public key", each) for each in public_keys)

    @property
    def key_count(self) -> int:
        """Number of keys."""
        return len(self._public_keys)

    def matches(self, message: bytes, signature: str) -> bool:
        """Return whether the hex signature belongs to the message and to one of the keys."""
        if len(signature) != 2 * crypto_sign_BYTES:
            return False
        try:
            raw = bytes.fromhex(signature)
        except ValueError:
            return False
        return signature == raw.hex() and any(_opens(raw + message, each) for each in self._public_keys)


def _opens(signed: bytes, public_key: bytes) -> bool:
    try:
        crypto_sign_open(signed, public_key)
    except (ValueError, CryptoError):
        return False
    return True


class Signer:
    """Signs with a 32-byte seed. No part of the seed is ever in a text or an error."""

    def __init__(self, seed: bytes) -> None:
        """Derive the key pair.

        Raises:
            InvalidKeyError: The seed is not 32 bytes long.
        """
        public_key, self._secret_key = crypto_sign_seed_keypair(_check_length("seed", seed))
        self.verifier = Verifier(public_key)
        self.public_key_hex = public_key.hex()

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled, because the bytes would hold the seed.

        Raises:
            TypeError: Always.
        """
        raise TypeError("a Signer cannot be pickled: pass the file of its seed, and create a Signer there")

    def sign(self, message: bytes) -> str:
        """Return the signature over the message as lower-case hex."""
        return crypto_sign(message, self._secret_key)[:crypto_sign_BYTES].hex()


def parse_key(kind: str, text: str) -> bytes:
    """Return the 32 bytes of a key in hex. White space around it is ignored.

    Args:
        kind: The use of the key, for the text of an error: ``"seed"``.
        text: 64 hex digits.

    Raises:
        InvalidKeyError: It is not 64 hex digits.
    """
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        msg = f"invalid {kind}: not hex, use {2 * KEY_BYTES} hex digits"
        # The first error has a part of the key in its text.
        raise InvalidKeyError(msg) from None
    return _check_length(kind, key)


def _check_length(kind: str, key: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        msg = f"invalid {kind} of {len(key)} bytes: use {KEY_BYTES} bytes"
        raise InvalidKeyError(msg)
    return bytes(key)


def signature_message(task: Task) -> bytes:
    """Return the bytes of a task that are signed.

    Raises:
        ConfigurationError: The task has no queue, a colon in its ID or queue, or a time outside 64 bits.
    """
    if not task.queue:
        msg = f"cannot sign task {task.id} without a queue: set the queue first"
        raise ConfigurationError(msg)
    if ":" in task.id or ":" in task.queue:
        msg = f"cannot sign task {task.id} of queue {task.queue}: use an ID and a queue without ':'"
        raise ConfigurationError(msg)
    payload = b64encode(task.payload or b"").decode()
    created, deadline = _as_int64(task, parse_timestamp(task.created)), _as_int64(task, deadline_ns(task) or 0)
    return f"{task.id}:{task.queue}:{task.type}:{task.max_tries}:{created}:{deadline}:{payload}".encode()


def _as_int64(task: Task, value: int) -> int:
    """Return nanoseconds as Go signs them. Only its zero time, which is far outside 64 bits, wraps as there."""
    if -_INT64_SIGN <= value < _INT64_SIGN:
        return value
    if value != _ZERO_NS:
        raise ConfigurationError(f"cannot sign task {task.id}: use times within the years 1678 to 2261")
    return (value + _INT64_SIGN) % _INT64 - _INT64_SIGN


def sign_task(task: Task, signer: Signer) -> Task:
    """Return the task with its signature.

    Raises:
        TaskAlreadySignedError: It has a signature.
        ConfigurationError: Its ID, queue or times cannot be signed; see `signature_message`.
    """
    if task.signature:
        msg = f"task {task.id} is already signed: enqueue it unchanged, or create a new one"
        raise TaskAlreadySignedError(msg)
    return msgspec.structs.replace(task, signature=signer.sign(signature_message(task)))


def verify_task(task: Task, verifier: Verifier, *, optional: bool) -> None:
    """Check that a task is signed with the expected key.

    Args:
        task: The task as it was loaded.
        verifier: Holds the expected keys.
        optional: Whether a task without a signature is accepted. A wrong signature never is.

    Raises:
        TaskNotSignedError: It has no signature, but needs one.
        TaskSignatureError: Its signature is wrong.
    """
    if not task.signature:
        if optional:
            return
        msg = f"task {task.id} of type {task.type} is not signed, but signatures are required"
        raise TaskNotSignedError(msg)
    try:
        is_signed = verifier.matches(signature_message(task), task.signature)
    except ConfigurationError as e:
        msg = f"task {task.id} of type {task.type} has a signature that no task like it can have: {e}"
        raise TaskSignatureError(msg) from e
    if not is_signed:
        msg = f"task {task.id} of type {task.type} has a wrong signature: it was changed, or signed by another key"
        raise TaskSignatureError(msg)
