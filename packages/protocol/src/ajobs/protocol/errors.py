"""The error tree: every error that the project raises on purpose, each with a stable code and reason.

::

    AjobsError                      internal
    ├── InvalidArgumentError            invalid_argument    a value of the caller is not valid; repeating does not help
    │   ├── InvalidNameError                                a task type, task id, queue or schedule name
    │   ├── InvalidDurationError
    │   ├── InvalidTimestampError
    │   ├── InvalidStateNameError
    │   ├── InvalidPayloadError
    │   ├── InvalidKeyError                                 a signing or verification key
    │   ├── InvalidScheduleError
    │   ├── InvalidIdempotencyKeyError
    │   ├── UnknownRetryPolicyError
    │   └── ConfigurationError
    ├── NotFoundError                   not_found
    │   ├── TaskNotFoundError
    │   │   └── TaskDiscardedError
    │   ├── QueueNotFoundError
    │   │   └── QueueConsumerNotFoundError
    │   └── ScheduleNotFoundError
    ├── ConflictError                   conflict            the state of the task, or another writer, forbids it
    │   ├── TaskChangedError                                a lost compare-and-set
    │   ├── TaskCannotEnqueueError
    │   ├── InvalidTransitionError                          the state machine does not have this change of state
    │   ├── TaskAlreadyActiveError
    │   ├── TaskAlreadySignedError
    │   ├── ScheduleChangedError                            a lost compare-and-set
    │   ├── IdempotencyKeyReusedError                       the key stands for another request
    │   ├── RunOverError                                    a handler's run has ended, or lost its time
    │   └── TaskPastDeadlineError
    ├── DuplicateError                  duplicate
    │   ├── TaskAlreadyExistsError
    │   ├── DuplicateItemError
    │   ├── DuplicateHandlerError
    │   ├── QueueAlreadyExistsError
    │   └── ScheduleAlreadyExistsError
    ├── PayloadTooLargeError            payload_too_large
    ├── TaskNotSignedError              signature_required
    ├── TaskSignatureError              signature_invalid
    ├── TaskFailedError                 dependency_failed   the awaited task did not complete
    ├── DecodeError                     internal            a document that does not follow the wire contract
    │   ├── CorruptTaskError
    │   └── CorruptItemError
    └── UnavailableError                unavailable         try again later, or check the server
        ├── ConnectionFailedError
        │   └── AuthenticationError
        ├── JetStreamNotEnabledError
        ├── StorageNotReadyError
        ├── StorageError
        │   └── PermissionDeniedError                       the NATS user may not publish or subscribe there
        ├── QueueFullError
        └── RequestTimeoutError

``code`` is the family and ``reason`` the exact error. The HTTP API and the command line show both, and neither ever
changes. Programs decide by them or by the class, never by the text.
"""

from __future__ import annotations

from typing import ClassVar


class AjobsError(Exception):
    """The root of all errors that ajobs raises on purpose."""

    code: ClassVar[str] = "internal"
    reason: ClassVar[str] = "internal"


class InvalidArgumentError(AjobsError, ValueError):
    """A value that the caller passed is not valid. Repeating the call does not help."""

    code = "invalid_argument"
    reason = "invalid_argument"


class InvalidNameError(InvalidArgumentError):
    """A task type, task id, queue or schedule name that cannot be part of a NATS subject."""

    reason = "name_invalid"


class InvalidDurationError(InvalidArgumentError):
    """A value that is not a duration, or does not fit 64 bits of nanoseconds."""

    reason = "invalid_duration"


class InvalidTimestampError(InvalidArgumentError):
    """A text that is not an RFC 3339 time."""

    reason = "invalid_timestamp"


class InvalidStateNameError(InvalidArgumentError):
    """A name that is not a task state, or a state that cannot be used here."""

    reason = "task_state_invalid"


class InvalidPayloadError(InvalidArgumentError):
    """A payload or result that cannot be encoded, or does not fit the type that it is decoded to."""

    reason = "payload_invalid"


class InvalidKeyError(InvalidArgumentError):
    """A signing seed or verification key that is not valid. No part of the key is in the text."""

    reason = "key_invalid"


class InvalidScheduleError(InvalidArgumentError):
    """A schedule whose cron expression, queue, task type, deadline or number of tries is not valid."""

    reason = "schedule_invalid"


class InvalidIdempotencyKeyError(InvalidArgumentError):
    """An idempotency key that is empty or too long."""

    reason = "idempotency_key_invalid"


class UnknownRetryPolicyError(InvalidArgumentError):
    """The name of a retry policy that does not exist."""

    reason = "unknown_retry_policy"


class ConfigurationError(InvalidArgumentError):
    """Options that are out of range or contradict each other, or a configuration file that cannot be used."""

    reason = "configuration_invalid"


class NotFoundError(AjobsError, LookupError):
    """Nothing exists by that name or id."""

    code = "not_found"
    reason = "not_found"


class TaskNotFoundError(NotFoundError):
    """No task with that id is stored."""

    reason = "task_not_found"


class TaskDiscardedError(TaskNotFoundError):
    """The task reached a final state, and its worker then discarded it."""

    reason = "task_discarded"


class QueueNotFoundError(NotFoundError):
    """No stream for that queue exists."""

    reason = "queue_not_found"


class QueueConsumerNotFoundError(QueueNotFoundError):
    """The queue's stream exists, but its consumer does not."""

    reason = "queue_consumer_not_found"


class ScheduleNotFoundError(NotFoundError):
    """No schedule with that name is stored."""

    reason = "schedule_not_found"


class ConflictError(AjobsError):
    """The state of the task forbids the call, or another writer changed it first."""

    code = "conflict"
    reason = "conflict"


class TaskChangedError(ConflictError):
    """A lost compare-and-set: the task changed since the revision that the write names. Load it and try again."""

    reason = "task_changed"


class TaskCannotEnqueueError(ConflictError):
    """The task is in a state other than new, retry and blocked, so it cannot be enqueued."""

    reason = "task_cannot_enqueue"


class InvalidTransitionError(ConflictError):
    """A change of a task's state that the state machine does not have."""

    reason = "transition_invalid"


class TaskAlreadyActiveError(ConflictError):
    """The task is active: a worker runs it, or has died while it did."""

    reason = "task_already_active"


class TaskAlreadySignedError(ConflictError):
    """The task has a signature, so it cannot be signed again."""

    reason = "task_already_signed"


class ScheduleChangedError(ConflictError):
    """A lost compare-and-set: another client changed the schedule. Load it and try again."""

    reason = "schedule_changed"


class IdempotencyKeyReusedError(ConflictError):
    """An idempotency key was used before, for a different request."""

    reason = "idempotency_key_reused"


class RunOverError(ConflictError):
    """A handler's run has ended, or has used up its time, so it cannot be extended."""

    reason = "run_over"


class TaskPastDeadlineError(ConflictError):
    """The task's deadline has passed, so it would never start."""

    reason = "task_past_deadline"


class DuplicateError(AjobsError):
    """Something by that name or id already exists."""

    code = "duplicate"
    reason = "duplicate"


class TaskAlreadyExistsError(DuplicateError):
    """A task with that id is already stored."""

    reason = "task_already_exists"


class DuplicateItemError(DuplicateError):
    """The queue refused the work item because it accepted one for the same task within its duplicate window."""

    reason = "duplicate_item"


class DuplicateHandlerError(DuplicateError):
    """A handler for that task type is already registered."""

    reason = "duplicate_handler"


class QueueAlreadyExistsError(DuplicateError):
    """A queue by that name already exists."""

    reason = "queue_already_exists"


class ScheduleAlreadyExistsError(DuplicateError):
    """A schedule by that name already exists."""

    reason = "schedule_already_exists"


class PayloadTooLargeError(AjobsError):
    """The encoded document is larger than the server's ``max_payload``."""

    code = "payload_too_large"
    reason = "payload_too_large"


class TaskNotSignedError(AjobsError):
    """Signatures are required, but the task has none."""

    code = "signature_required"
    reason = "task_not_signed"


class TaskSignatureError(AjobsError):
    """The task was changed after it was signed, or signed with another key."""

    code = "signature_invalid"
    reason = "task_signature_invalid"


class TaskFailedError(AjobsError):
    """The awaited task reached a final state other than complete."""

    code = "dependency_failed"
    reason = "task_failed"

    def __init__(self, message: str, *, task_id: str, state: str, last_err: str) -> None:
        """Keep the final ``state`` and the task's ``last_err`` next to the text."""
        super().__init__(message)
        self.task_id = task_id
        self.state = state
        self.last_err = last_err


class DecodeError(AjobsError):
    """Bytes that do not follow the wire contract."""

    reason = "corrupt_document"


class CorruptTaskError(DecodeError):
    """A stored task that cannot be decoded. It stays in the store."""

    reason = "corrupt_task"


class CorruptItemError(DecodeError):
    """A work item that is empty or cannot be decoded. The worker removes it from its queue."""

    reason = "corrupt_item"


class UnavailableError(AjobsError):
    """The server, or something that is needed on it, cannot be used now."""

    code = "unavailable"
    reason = "unavailable"


class ConnectionFailedError(UnavailableError):
    """No NATS server could be reached, or the connection was closed for good."""

    reason = "connection_failed"


class AuthenticationError(ConnectionFailedError):
    """The server refused the credentials."""

    reason = "authentication_failed"


class JetStreamNotEnabledError(UnavailableError):
    """The server, or this account on it, has no JetStream."""

    reason = "jetstream_not_enabled"


class StorageNotReadyError(UnavailableError):
    """A required stream or bucket does not exist."""

    reason = "storage_not_ready"


class StorageError(UnavailableError):
    """JetStream answered a request with an error that has no class of its own here."""

    reason = "storage_error"


class PermissionDeniedError(StorageError):
    """The NATS user may not publish to a subject, or subscribe to it. Nothing was changed."""

    reason = "permission_denied"


class QueueFullError(UnavailableError):
    """The queue holds as many work items as its ``max_entries`` allows."""

    reason = "queue_full"


class RequestTimeoutError(UnavailableError):
    """The server did not answer in time. Whether the operation happened is not known."""

    reason = "request_timeout"
