"""NATS message headers: their names, and building and parsing blocks of them."""

from __future__ import annotations

from collections.abc import Mapping

SERVER_PREFIX = "Nats-"
"""The start of every header that NATS itself reads or sets."""
MESSAGE_ID = "Nats-Msg-Id"
EXPECTED_LAST_SUBJECT_SEQUENCE = "Nats-Expected-Last-Subject-Sequence"
SEQUENCE = "Nats-Sequence"
PENDING_MESSAGES = "Nats-Pending-Messages"
KV_OPERATION = "KV-Operation"
"""Set when a message of a bucket deletes its key."""

CANDIDATE = "AJ-Candidate"
"""The ID of the scheduler that wrote a key of an election. Used by ajobs only."""

# Of requests to remote handlers, and of their responses.
CONTENT_TYPE = "AJ-Content-Type"
HANDLER_DEADLINE = "AJ-Handler-Deadline"
TERMINATE = "AJ-Terminate"
ERROR = "AJ-Error"

TASK_CONTENT_TYPE = "application/x-asyncjobs-task+json"

VERSION_LINE = b"NATS/1.0"
STATUS_LINE = VERSION_LINE + b" "
"""The start of a header block that carries a status."""


def header_block(headers: Mapping[str, str] | None) -> bytes:
    """Return headers as they are sent, empty without any. Line breaks in a value become spaces."""
    if not headers:
        return b""
    lines = "".join(f"{name}: {' '.join(value.splitlines())}\r\n" for name, value in headers.items())
    return VERSION_LINE + f"\r\n{lines}\r\n".encode()


def status_of(raw: bytes) -> str:
    """Return the status of a header block, such as ``503``; empty without one."""
    return (
        raw[len(STATUS_LINE) : len(STATUS_LINE) + 3].decode("ascii", "replace") if raw.startswith(STATUS_LINE) else ""
    )


def parse_headers(raw: bytes) -> dict[str, str]:
    """Return the headers of a block by name, without the status. Of a repeated name the last value counts."""
    lines = raw.decode("utf-8", "replace").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, separator, value in pairs if separator}
