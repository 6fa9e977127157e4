"""NATS message headers: JetStream's own and those of remote handlers."""

from __future__ import annotations

MESSAGE_ID = "Nats-Msg-Id"
EXPECTED_LAST_SUBJECT_SEQUENCE = "Nats-Expected-Last-Subject-Sequence"
SEQUENCE = "Nats-Sequence"
STATUS = "Status"
PENDING_MESSAGES = "Nats-Pending-Messages"

CONTENT_TYPE = "AJ-Content-Type"
HANDLER_DEADLINE = "AJ-Handler-Deadline"
TERMINATE = "AJ-Terminate"
ERROR = "AJ-Error"

TASK_CONTENT_TYPE = "application/x-asyncjobs-task+json"
