"""What is signed and how, for both ends: HMAC-SHA256 over id, time and body, in the headers of Standard Webhooks."""

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
"""How many seconds a delivery may be old: one that somebody recorded is of no use after that."""


def secret_bytes(secret: str) -> bytes:
    """Return the key that a secret such as ``whsec_...`` stands for.

    Raises:
        ValueError: It is none. Nothing of it is in the text.
    """
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not 24 <= len(key) <= 64:
        raise ValueError(f"a webhook's secret has to be {SECRET_PREFIX} and 24 to 64 bytes in base64")
    return key


def signed_headers(key: bytes, message_id: str, now_s: int, body: bytes) -> dict[str, str]:
    """Return the headers that a receiver verifies a delivery by."""
    return {ID: message_id, TIMESTAMP: str(now_s), SIGNATURE: _signature(key, message_id, now_s, body)}


def verify(key: bytes, headers: Mapping[str, str], now_s: int, body: bytes) -> str:
    """Return the id of a delivery that whoever has the key sent within the last minutes.

    Raises:
        ValueError: It is not, with what is wrong.
    """
    message_id, sent, signatures = (headers.get(name, "") for name in (ID, TIMESTAMP, SIGNATURE))
    if not (sent.isascii() and sent.isdigit()) or abs(now_s - int(sent)) > TOLERANCE_S:
        raise ValueError(f"{TIMESTAMP} is {sent!r}, which is not within {TOLERANCE_S} s of now")
    expected = _signature(key, message_id, int(sent), body).encode()
    # There may be several, while a secret is being replaced. How long a comparison takes must not tell how far it came.
    if not any(hmac.compare_digest(expected, each.encode()) for each in signatures.split(" ")):
        raise ValueError(f"{SIGNATURE} is not that of this body")
    return message_id


def _signature(key: bytes, message_id: str, now_s: int, body: bytes) -> str:
    digest = hmac.digest(key, b".".join([message_id.encode(), str(now_s).encode(), body]), hashlib.sha256)
    return "v1," + base64.b64encode(digest).decode()
