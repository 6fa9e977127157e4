"""Payloads from a command line, standard input or a file, and payloads as text."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from ajobs.protocol.codec import encode
from ajobs.protocol.errors import ConfigurationError

STDIN = "@-"
"""Stands for standard input where a file can be named."""


def payload_of(text: str | None, file: str | None, *, raw: bool) -> bytes | None:
    """Return the payload, or ``None`` without one.

    JSON is used unchanged; any other text becomes a JSON string, so that ``hello`` needs no quotes.

    Args:
        text: The payload itself; `STDIN` is standard input, ``@FILE`` a file.
        file: A file, or `STDIN`.
        raw: Use the bytes unchanged.

    Raises:
        ConfigurationError: There are two payloads, a file cannot be read, or it is not text.
    """
    if text is not None and file is not None:
        raise ConfigurationError("pass the payload as PAYLOAD or with --file, not both")
    if text is not None and text.startswith("@"):
        file = STDIN if text == STDIN else text[1:]
    if file is not None:
        data = read_bytes(file)
    elif text is not None:
        data = text.encode(errors="surrogateescape")
    else:
        return None
    return data if raw else _as_json(data, file)


def read_bytes(file: str) -> bytes:
    """Return the content of a file or of standard input.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    if file == STDIN:
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as e:
        raise ConfigurationError(f"cannot read {file or 'a file without a name'}: {e.strerror}") from e


def _as_json(data: bytes, file: str | None) -> bytes:
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            return encode(data.decode())
        except UnicodeDecodeError:
            where = "the argument" if file is None else file
            raise ConfigurationError(
                f"the payload in {where} is not UTF-8 text: use --raw to store its bytes unchanged"
            ) from None
    return data


def shown_payload(data: bytes | None) -> str:
    """Return a payload as text."""
    if data is None:
        return "none"
    try:
        return data.decode()
    except UnicodeDecodeError:
        return f"{len(data):,} bytes that are not text"
