"""Payloads as they are given on a command line, on the standard input or in a file."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from ajobs.admin.cli.arguments import STDIN
from ajobs.protocol.codec import encode
from ajobs.protocol.errors import ConfigurationError


def payload_of(text: str | None, file: str | None, *, raw: bool) -> bytes | None:
    """Return the payload that was given, if one was.

    What is JSON is taken as it is; any other text becomes a JSON string, so that ``hello`` needs no quotes.

    Args:
        text: The payload itself; `STDIN` is the standard input, ``@FILE`` a file.
        file: A file, or `STDIN`.
        raw: Take the bytes as they are, whatever they are.

    Raises:
        ConfigurationError: Two were given, a file cannot be read, or it is no text.
    """
    if text is not None and file is not None:
        raise ConfigurationError("give the payload as an argument or with --file, not both")
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
    """Return what a file holds, or the standard input.

    Raises:
        ConfigurationError: It cannot be read.
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
                f"the payload in {where} is no text: use --raw to take its bytes as they are"
            ) from None
    return data


def shown_payload(data: bytes | None) -> str:
    """Return a payload as text for people."""
    if data is None:
        return "none"
    try:
        return data.decode()
    except UnicodeDecodeError:
        return f"{len(data)} bytes that are no text"
