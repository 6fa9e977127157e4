"""NATS message headers: JetStream's own and those of remote handlers."""

from __future__ import annotations

MESSAGE_ID = "Nats-Msg-Id"
EXPECTED_LAST_SUBJECT_SEQUENCE = "Nats-Expected-Last-Subject-Sequence"
SEQUENCE = "Nats-Sequence"
PENDING_MESSAGES = "Nats-Pending-Messages"

CONTENT_TYPE = "AJ-Content-Type"
HANDLER_DEADLINE = "AJ-Handler-Deadline"
TERMINATE = "AJ-Terminate"
ERROR = "AJ-Error"

TASK_CONTENT_TYPE = "application/x-asyncjobs-task+json"

STATUS_LINE = b"NATS/1.0 "
"""How headers begin that have a status."""


def status_of(raw: bytes) -> str:
    """Return the status in headers as they were sent, such as ``503``; empty when there is none."""
    return raw[len(STATUS_LINE) : len(STATUS_LINE) + 3].decode() if raw.startswith(STATUS_LINE) else ""


def parse_headers(raw: bytes) -> dict[str, str]:
    """Return headers as they were sent by name, the last of each name, without the status."""
    lines = raw.decode("utf-8", "replace").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, separator, value in pairs if separator}
