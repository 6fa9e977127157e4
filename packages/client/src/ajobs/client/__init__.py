"""The client for producers and services: store, enqueue, load and watch tasks, manage queues and schedules.

The names below are public. The modules of this package are internal: their names and signatures may change at any time.
"""

from ajobs.client.blocking import (
    BlockingClient,
    BlockingSchedules,
)
from ajobs.client.client import (
    Client,
)
from ajobs.client.nats.addresses import (
    ConnectOptions,
)
from ajobs.client.options import (
    ClientOptions,
)
from ajobs.client.schedules.schedules import (
    ScheduleChanges,
    ScheduleInfo,
    Schedules,
    ScheduleSettings,
)
from ajobs.client.settings import (
    Settings,
)
from ajobs.client.storage.events import (
    EventStream,
)
from ajobs.client.storage.queues import (
    QueueChanges,
    QueueInfo,
)
from ajobs.client.storage.task_store import (
    StoreInfo,
)
from ajobs.client.tasks.bulk import (
    BulkFailure,
    BulkResult,
)
from ajobs.client.tasks.filter import (
    Moment,
    TaskFilter,
)
from ajobs.client.tasks.idempotency import (
    Once,
)
from ajobs.client.tasks.new import (
    TaskOptions,
)
from ajobs.client.tasks.pages import (
    TaskPage,
)
from ajobs.protocol.durations import (
    Duration,
)
from ajobs.protocol.errors import (
    AjobsError,
    AuthenticationError,
    ConfigurationError,
    ConflictError,
    ConnectionFailedError,
    CorruptTaskError,
    DecodeError,
    DuplicateError,
    DuplicateItemError,
    IdempotencyKeyReusedError,
    InvalidArgumentError,
    InvalidDurationError,
    InvalidIdempotencyKeyError,
    InvalidKeyError,
    InvalidNameError,
    InvalidPayloadError,
    InvalidScheduleError,
    InvalidStateNameError,
    InvalidTimestampError,
    InvalidTransitionError,
    JetStreamNotEnabledError,
    NotFoundError,
    PayloadTooLargeError,
    PermissionDeniedError,
    QueueAlreadyExistsError,
    QueueConsumerNotFoundError,
    QueueFullError,
    QueueNotFoundError,
    RequestTimeoutError,
    ScheduleAlreadyExistsError,
    ScheduleChangedError,
    ScheduleNotFoundError,
    StorageError,
    StorageNotReadyError,
    TaskAlreadyActiveError,
    TaskAlreadyExistsError,
    TaskCannotEnqueueError,
    TaskChangedError,
    TaskDiscardedError,
    TaskFailedError,
    TaskNotFoundError,
    TaskNotSignedError,
    TaskPastDeadlineError,
    TaskSignatureError,
    UnavailableError,
    UnknownRetryPolicyError,
)
from ajobs.protocol.events import (
    LeaderEvent,
    TaskStateEvent,
)
from ajobs.protocol.presence import (
    RunningTask,
    WorkerPresence,
    WorkerQueue,
)
from ajobs.protocol.queue import (
    Queue,
)
from ajobs.protocol.retry import (
    RetryPolicy,
    SteppedRetryPolicy,
    exponential_policy,
    linear_policy,
    retry_policy,
)
from ajobs.protocol.schedule import (
    CatchUp,
    Schedule,
    ScheduleOptions,
)
from ajobs.protocol.states import (
    TaskState,
)
from ajobs.protocol.task import (
    Result,
    Task,
)

__all__ = [
    "AjobsError",
    "AuthenticationError",
    "BlockingClient",
    "BlockingSchedules",
    "BulkFailure",
    "BulkResult",
    "CatchUp",
    "Client",
    "ClientOptions",
    "ConfigurationError",
    "ConflictError",
    "ConnectOptions",
    "ConnectionFailedError",
    "CorruptTaskError",
    "DecodeError",
    "DuplicateError",
    "DuplicateItemError",
    "Duration",
    "EventStream",
    "IdempotencyKeyReusedError",
    "InvalidArgumentError",
    "InvalidDurationError",
    "InvalidIdempotencyKeyError",
    "InvalidKeyError",
    "InvalidNameError",
    "InvalidPayloadError",
    "InvalidScheduleError",
    "InvalidStateNameError",
    "InvalidTimestampError",
    "InvalidTransitionError",
    "JetStreamNotEnabledError",
    "LeaderEvent",
    "Moment",
    "NotFoundError",
    "Once",
    "PayloadTooLargeError",
    "PermissionDeniedError",
    "Queue",
    "QueueAlreadyExistsError",
    "QueueChanges",
    "QueueConsumerNotFoundError",
    "QueueFullError",
    "QueueInfo",
    "QueueNotFoundError",
    "RequestTimeoutError",
    "Result",
    "RetryPolicy",
    "RunningTask",
    "Schedule",
    "ScheduleAlreadyExistsError",
    "ScheduleChangedError",
    "ScheduleChanges",
    "ScheduleInfo",
    "ScheduleNotFoundError",
    "ScheduleOptions",
    "ScheduleSettings",
    "Schedules",
    "Settings",
    "SteppedRetryPolicy",
    "StorageError",
    "StorageNotReadyError",
    "StoreInfo",
    "Task",
    "TaskAlreadyActiveError",
    "TaskAlreadyExistsError",
    "TaskCannotEnqueueError",
    "TaskChangedError",
    "TaskDiscardedError",
    "TaskFailedError",
    "TaskFilter",
    "TaskNotFoundError",
    "TaskNotSignedError",
    "TaskOptions",
    "TaskPage",
    "TaskPastDeadlineError",
    "TaskSignatureError",
    "TaskState",
    "TaskStateEvent",
    "UnavailableError",
    "UnknownRetryPolicyError",
    "WorkerPresence",
    "WorkerQueue",
    "exponential_policy",
    "linear_policy",
    "retry_policy",
]
