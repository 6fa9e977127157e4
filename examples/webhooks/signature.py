"""Signatures for sender and receiver: HMAC-SHA256 over id, time and body, in the headers of Standard Webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
SIGNATURE = "webhook-signature"

SECRET_PREFIX = "whsec_"
TOLERANCE_S = 300
"""The maximum age of a delivery in seconds. It limits how long a recorded delivery can be replayed."""


def secret_bytes(secret: str) -> bytes:
    """Return the key that a secret such as ``whsec_...`` encodes.

    Raises:
        ValueError: The secret is invalid. The error does not contain any part of it.
    """
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not 24 <= len(key) <= 64:
        raise ValueError(f"invalid webhook secret: use {SECRET_PREFIX} followed by 24 to 64 bytes in base64")
    return key


def signed_headers(key: bytes, message_id: str, now_s: int, body: bytes) -> dict[str, str]:
    """Return the headers by which a receiver verifies a delivery."""
    return {ID: message_id, TIMESTAMP: str(now_s), SIGNATURE: _signature(key, message_id, now_s, body)}


def verify(key: bytes, headers: Mapping[str, str], now_s: int, body: bytes) -> str:
    """Return the id of a delivery after checking its signature and its age.

    Raises:
        ValueError: The signature does not match, or the delivery is too old.
    """
    message_id, sent, signatures = (headers.get(name, "") for name in (ID, TIMESTAMP, SIGNATURE))
    if not (sent.isascii() and sent.isdigit()) or abs(now_s - int(sent)) > TOLERANCE_S:
        raise ValueError(f"invalid {TIMESTAMP} {sent!r}: not within {TOLERANCE_S} s of now")
    expected = _signature(key, message_id, int(sent), body).encode()
    # There may be several while a secret is being replaced. The comparison takes constant time, so that its duration
    # does not reveal how much of a forged signature is right.
    if not any(hmac.compare_digest(expected, each.encode()) for each in signatures.split(" ")):
        raise ValueError(f"{SIGNATURE} does not match the body")
    return message_id


def _signature(key: bytes, message_id: str, now_s: int, body: bytes) -> str:
    digest = hmac.digest(key, b".".join([message_id.encode(), str(now_s).encode(), body]), hashlib.sha256)
    return "v1," + base64.b64encode(digest).decode()
