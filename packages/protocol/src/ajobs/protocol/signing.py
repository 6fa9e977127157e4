"""Ed25519 signatures over the parts of a task that must not change between its producer and its worker.

The message that is signed is that of Choria Async Jobs.
"""

from __future__ import annotations

from base64 import b64encode

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
from ajobs.protocol.timestamps import parse_timestamp

KEY_BYTES = 32
_INT64 = 1 << 64
_INT64_SIGN = 1 << 63


class Verifier:
    """Checks signatures with a 32-byte public key."""

    def __init__(self, public_key: bytes) -> None:
        """Take the key.

        Raises:
            InvalidKeyError: It is not 32 bytes long.
        """
        self._public_key = _check_length("public key", public_key)

    def matches(self, message: bytes, signature: str) -> bool:
        """Tell whether the hex signature belongs to the message and to this key."""
        try:
            raw = bytes.fromhex(signature)
            if len(raw) != crypto_sign_BYTES or signature != raw.hex():
                return False
            crypto_sign_open(raw + message, self._public_key)
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
        ConfigurationError: The task has no queue, which the signature covers.
    """
    if not task.queue:
        msg = f"cannot sign task {task.id} without a queue: set the queue first"
        raise ConfigurationError(msg)
    payload = b64encode(task.payload or b"").decode()
    created, deadline = _as_int64(parse_timestamp(task.created)), _as_int64(deadline_ns(task) or 0)
    return f"{task.id}:{task.queue}:{task.type}:{task.max_tries}:{created}:{deadline}:{payload}".encode()


def _as_int64(value: int) -> int:
    """Wrap as Go's 64-bit nanoseconds do. Go's zero time is far outside their range."""
    return (value + _INT64_SIGN) % _INT64 - _INT64_SIGN


def sign_task(task: Task, signer: Signer) -> Task:
    """Return the task with its signature.

    Raises:
        TaskAlreadySignedError: It has a signature.
        ConfigurationError: It has no queue.
    """
    if task.signature:
        msg = f"task {task.id} is already signed: enqueue it unchanged, or create a new one"
        raise TaskAlreadySignedError(msg)
    return msgspec.structs.replace(task, signature=signer.sign(signature_message(task)))


def verify_task(task: Task, verifier: Verifier, *, optional: bool) -> None:
    """Check that a task is signed with the expected key.

    Args:
        task: The task as it was loaded.
        verifier: Holds the expected key.
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
    if not task.queue or not verifier.matches(signature_message(task), task.signature):
        msg = f"task {task.id} of type {task.type} has a wrong signature: it was changed, or signed by another key"
        raise TaskSignatureError(msg)
