"""The error tree: every error that the project raises on purpose, each with a stable code and reason.

::

    AjobsError                      internal
    ├── InvalidArgumentError            invalid_argument    the caller's value is wrong; repeating does not help
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
    ├── ConflictError                   conflict            somebody, or an earlier call, was first
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
    ├── TaskFailedError                 dependency_failed   the task that was waited for did not complete
    ├── DecodeError                     internal            a document that is not what the wire contract says
    │   ├── CorruptTaskError
    │   └── CorruptItemError
    └── UnavailableError                unavailable         try again later, or look at the server
        ├── ConnectionFailedError
        │   └── AuthenticationError
        ├── JetStreamNotEnabledError
        ├── StorageNotReadyError
        ├── StorageError
        │   └── PermissionDeniedError                       the NATS user may not publish or subscribe there
        ├── QueueFullError
        └── RequestTimeoutError

``code`` is the family and ``reason`` the exact error; both are what the HTTP API and the command line show, and
neither ever changes. Nothing in the project decides by an error's text.
"""

from __future__ import annotations

from typing import ClassVar


class AjobsError(Exception):
    """The root of all errors raised on purpose."""

    code: ClassVar[str] = "internal"
    reason: ClassVar[str] = "internal"


class InvalidArgumentError(AjobsError, ValueError):
    """A value given by the caller is wrong; repeating the call does not help."""

    code = "invalid_argument"
    reason = "invalid_argument"


class InvalidNameError(InvalidArgumentError):
    """A task type, task id, queue or schedule name that cannot be part of a NATS subject."""

    reason = "name_invalid"


class InvalidDurationError(InvalidArgumentError):
    """A text that is not a Go duration, or one that does not fit 64 bits of nanoseconds."""

    reason = "invalid_duration"


class InvalidTimestampError(InvalidArgumentError):
    """A text that is not an RFC 3339 time."""

    reason = "invalid_timestamp"


class InvalidStateNameError(InvalidArgumentError):
    """A name that is no task state, or a state that may not be used here."""

    reason = "task_state_invalid"


class InvalidPayloadError(InvalidArgumentError):
    """A payload that cannot be encoded, or one that does not fit the type that a handler asks for."""

    reason = "payload_invalid"


class InvalidKeyError(InvalidArgumentError):
    """A signing seed or verification key of the wrong length or text. The key is never part of the message."""

    reason = "key_invalid"


class InvalidScheduleError(InvalidArgumentError):
    """A schedule with a bad cron text, queue, task type, deadline or number of tries."""

    reason = "schedule_invalid"


class InvalidIdempotencyKeyError(InvalidArgumentError):
    """An idempotency key that is empty or too long."""

    reason = "idempotency_key_invalid"


class UnknownRetryPolicyError(InvalidArgumentError):
    """A retry policy name that does not exist."""

    reason = "unknown_retry_policy"


class ConfigurationError(InvalidArgumentError):
    """Options that contradict each other, or a configuration file that cannot be used."""

    reason = "configuration_invalid"


class NotFoundError(AjobsError, LookupError):
    """Something that was asked for by name or id is not there."""

    code = "not_found"
    reason = "not_found"


class TaskNotFoundError(NotFoundError):
    """No task with that id is stored."""

    reason = "task_not_found"


class TaskDiscardedError(TaskNotFoundError):
    """The task reached a final state and was then deleted, as its worker was told to."""

    reason = "task_discarded"


class QueueNotFoundError(NotFoundError):
    """No stream for that queue exists."""

    reason = "queue_not_found"


class QueueConsumerNotFoundError(QueueNotFoundError):
    """The queue's stream exists, its consumer does not."""

    reason = "queue_consumer_not_found"


class ScheduleNotFoundError(NotFoundError):
    """No schedule with that name is stored."""

    reason = "schedule_not_found"


class ConflictError(AjobsError):
    """Somebody else, or an earlier call, was first."""

    code = "conflict"
    reason = "conflict"


class TaskChangedError(ConflictError):
    """A compare-and-set was lost: the stored task is not the one that this write was based on."""

    reason = "task_changed"


class TaskCannotEnqueueError(ConflictError):
    """Only tasks in the states new, retry and blocked can be enqueued."""

    reason = "task_cannot_enqueue"


class InvalidTransitionError(ConflictError):
    """A change of a task's state that the state machine does not have."""

    reason = "transition_invalid"


class TaskAlreadyActiveError(ConflictError):
    """The task is being run by a worker right now."""

    reason = "task_already_active"


class TaskAlreadySignedError(ConflictError):
    """The task carries a signature and may not be signed again."""

    reason = "task_already_signed"


class ScheduleChangedError(ConflictError):
    """A compare-and-set was lost: another client changed the schedule meanwhile. Load it and try again."""

    reason = "schedule_changed"


class IdempotencyKeyReusedError(ConflictError):
    """An idempotency key was used before, for a different request."""

    reason = "idempotency_key_reused"


class RunOverError(ConflictError):
    """A handler's run has ended, or its time was used up: it cannot have more."""

    reason = "run_over"


class TaskPastDeadlineError(ConflictError):
    """The task's deadline has passed, it would never be run."""

    reason = "task_past_deadline"


class DuplicateError(AjobsError):
    """A thing by that name or id is there already."""

    code = "duplicate"
    reason = "duplicate"


class TaskAlreadyExistsError(DuplicateError):
    """A task with that id is stored already."""

    reason = "task_already_exists"


class DuplicateItemError(DuplicateError):
    """The queue refused the work item because it saw one for the same task a short while ago."""

    reason = "duplicate_item"


class DuplicateHandlerError(DuplicateError):
    """A handler for that task type is registered already."""

    reason = "duplicate_handler"


class QueueAlreadyExistsError(DuplicateError):
    """A queue by that name is there already."""

    reason = "queue_already_exists"


class ScheduleAlreadyExistsError(DuplicateError):
    """A schedule by that name is stored already."""

    reason = "schedule_already_exists"


class PayloadTooLargeError(AjobsError):
    """The encoded document is larger than the server takes in one message."""

    code = "payload_too_large"
    reason = "payload_too_large"


class TaskNotSignedError(AjobsError):
    """Signatures are required and the task has none."""

    code = "signature_required"
    reason = "task_not_signed"


class TaskSignatureError(AjobsError):
    """The task's signature was not made by the expected key over this content."""

    code = "signature_invalid"
    reason = "task_signature_invalid"


class TaskFailedError(AjobsError):
    """A task whose result was waited for ended in another state than complete."""

    code = "dependency_failed"
    reason = "task_failed"

    def __init__(self, message: str, *, task_id: str, state: str, last_err: str) -> None:
        """Keep the final ``state`` and the task's ``last_err`` beside the message."""
        super().__init__(message)
        self.task_id = task_id
        self.state = state
        self.last_err = last_err


class DecodeError(AjobsError):
    """Bytes that are not the document that the wire contract says they are."""

    reason = "corrupt_document"


class CorruptTaskError(DecodeError):
    """A stored task that cannot be decoded. It is left as it is."""

    reason = "corrupt_task"


class CorruptItemError(DecodeError):
    """A work item that is empty or cannot be decoded. It is taken off its queue."""

    reason = "corrupt_item"


class UnavailableError(AjobsError):
    """The server, or what is needed on it, cannot be used right now."""

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
    """A stream or bucket that is needed does not exist."""

    reason = "storage_not_ready"


class StorageError(UnavailableError):
    """JetStream answered a request with an error that has no name of its own here."""

    reason = "storage_error"

    def __init__(self, message: str, *, err_code: int = 0) -> None:
        """Keep JetStream's numeric ``err_code`` (0 when it sent none)."""
        super().__init__(message)
        self.err_code = err_code


class PermissionDeniedError(StorageError):
    """The server does not let this user publish to a subject, or subscribe to it; nothing was done."""

    reason = "permission_denied"


class QueueFullError(UnavailableError):
    """The queue holds as many work items as it may."""

    reason = "queue_full"


class RequestTimeoutError(UnavailableError):
    """The server did not answer in time; whether it did what was asked is not known."""

    reason = "request_timeout"
