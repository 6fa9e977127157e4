"""Ed25519 signatures over the parts of a task that must not change between its producer and its worker."""

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
        """Tell whether the hex signature over the message was made with this key's seed."""
        try:
            raw = bytes.fromhex(signature)
            if len(raw) != crypto_sign_BYTES or signature != raw.hex():
                return False
            crypto_sign_open(raw + message, self._public_key)
        except (ValueError, CryptoError):
            return False
        return True


class Signer:
    """Makes signatures with a 32-byte seed. Nothing of it is ever part of a text or an error."""

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
    """Return the 32 bytes of a key written as hex; white space around it does not count.

    Args:
        kind: What the key is, for the error: ``"seed"``.
        text: 64 hex digits.

    Raises:
        InvalidKeyError: It is not 64 hex digits. The text is not part of the message.
    """
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        msg = f"the {kind} is not hex: it has to be {2 * KEY_BYTES} hex digits"
        # The original error would carry a part of the key.
        raise InvalidKeyError(msg) from None
    return _check_length(kind, key)


def _check_length(kind: str, key: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        msg = f"the {kind} has {len(key)} bytes: it has to have {KEY_BYTES}"
        raise InvalidKeyError(msg)
    return bytes(key)


def signature_message(task: Task) -> bytes:
    """Return the bytes that a task's signature is made over.

    Raises:
        ConfigurationError: The task has no queue, which is part of what is signed.
    """
    if not task.queue:
        msg = f"task {task.id} has no queue: signing needs it, so set the queue first"
        raise ConfigurationError(msg)
    payload = b64encode(task.payload or b"").decode()
    created, deadline = _as_int64(parse_timestamp(task.created)), _as_int64(deadline_ns(task) or 0)
    return f"{task.id}:{task.queue}:{task.type}:{task.max_tries}:{created}:{deadline}:{payload}".encode()


def _as_int64(value: int) -> int:
    """Wrap as Go's 64-bit nanoseconds do: its zero time is far outside of them."""
    return (value + _INT64_SIGN) % _INT64 - _INT64_SIGN


def sign_task(task: Task, signer: Signer) -> Task:
    """Return the task with its signature.

    Raises:
        TaskAlreadySignedError: It has one.
        ConfigurationError: It has no queue.
    """
    if task.signature:
        msg = f"task {task.id} is signed already: enqueue it as it is, or make a new one"
        raise TaskAlreadySignedError(msg)
    return msgspec.structs.replace(task, signature=signer.sign(signature_message(task)))


def verify_task(task: Task, verifier: Verifier, *, optional: bool) -> None:
    """Make sure that the task is signed with the expected key.

    Args:
        task: The task as it was loaded.
        verifier: Holds the expected key.
        optional: Whether a task without a signature is fine. A wrong signature never is.

    Raises:
        TaskNotSignedError: It has no signature, and must have one.
        TaskSignatureError: Its signature is wrong.
    """
    if not task.signature:
        if optional:
            return
        msg = f"task {task.id} of type {task.type} is not signed and signatures are required"
        raise TaskNotSignedError(msg)
    if not task.queue or not verifier.matches(signature_message(task), task.signature):
        msg = f"task {task.id} of type {task.type} has a wrong signature: it was changed, or signed by another key"
        raise TaskSignatureError(msg)
