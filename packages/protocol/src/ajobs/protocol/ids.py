"""KSUIDs: ids of 27 base62 characters that sort by the second of their creation.

A KSUID is 4 bytes of big-endian seconds since `EPOCH_S` and 16 random bytes. Time and randomness come from the caller.
The format is that of https://github.com/segmentio/ksuid.
"""

from __future__ import annotations

from typing import NamedTuple

from ajobs.protocol.errors import InvalidNameError

EPOCH_S = 1_400_000_000
PAYLOAD_BYTES = 16
TEXT_LENGTH = 27
MAX_UNIX_S = EPOCH_S + 0xFFFF_FFFF

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGIT = {char: value for value, char in enumerate(_ALPHABET)}
_LIMIT = 1 << 160

# A 160-bit number is cut into three parts of nine digits, each of which fits a machine word, and a part into digits by
# looking up three at a time: this takes a fifth of the time of dividing the big number by 62 for each digit.
_PART = 62**9
TAILS = _PART
"""The number of ids with one head."""
_TRIPLE = 62**3
_TRIPLES = tuple(a + b + c for a in _ALPHABET for b in _ALPHABET for c in _ALPHABET)


class Ksuid(NamedTuple):
    """The two parts of an id: the second of its creation, as Unix time, and its 16 random bytes."""

    unix_s: int
    payload: bytes


def format_ksuid(unix_s: int, payload: bytes) -> str:
    """Return the text of an id.

    Args:
        unix_s: Seconds since 1970, from `EPOCH_S` to `MAX_UNIX_S`.
        payload: 16 random bytes.

    Raises:
        InvalidNameError: The time or the payload is out of range.
    """
    if len(payload) != PAYLOAD_BYTES or not EPOCH_S <= unix_s <= MAX_UNIX_S:
        msg = f"a KSUID needs {PAYLOAD_BYTES} bytes, got {len(payload)}, and a time from {EPOCH_S} on, got {unix_s}"
        raise InvalidNameError(msg)
    number = (unix_s - EPOCH_S) << 128 | int.from_bytes(payload)
    number, low = divmod(number, _PART)
    high, middle = divmod(number, _PART)
    return _nine_digits(high) + _nine_digits(middle) + _nine_digits(low)


def ksuid_head(unix_s: int, payload: bytes) -> str:
    """Return 18 characters that, with any nine more of `ksuid_tail`, are an id of that second.

    It saves work for many ids of one second. Raises as `format_ksuid` does.
    """
    head = format_ksuid(unix_s, payload)[:-9]
    ends = (parse_ksuid(head + digit * 9).unix_s for digit in (_ALPHABET[0], _ALPHABET[-1]))
    if any(end != unix_s for end in ends):
        # One head in 2**74 reaches into the next second.
        return ksuid_head(unix_s, bytes(byte ^ 0x55 for byte in payload))
    return head


def ksuid_tail(number: int) -> str:
    """Return nine characters for a number modulo `TAILS`."""
    return _nine_digits(number % TAILS)


def _nine_digits(part: int) -> str:
    part, low = divmod(part, _TRIPLE)
    high, middle = divmod(part, _TRIPLE)
    return _TRIPLES[high] + _TRIPLES[middle] + _TRIPLES[low]


def parse_ksuid(text: str) -> Ksuid:
    """Split the text of an id into its parts.

    Raises:
        InvalidNameError: The text is not a KSUID.
    """
    number = 0
    try:
        for char in text:
            number = number * 62 + _DIGIT[char]
    except KeyError:
        number = _LIMIT
    if len(text) != TEXT_LENGTH or number >= _LIMIT:
        msg = f"invalid KSUID {text!r}: use {TEXT_LENGTH} characters of 0-9, A-Z and a-z"
        raise InvalidNameError(msg)
    return Ksuid((number >> 128) + EPOCH_S, (number & (1 << 128) - 1).to_bytes(PAYLOAD_BYTES))
