"""Workers: route tasks to handlers, and process queues with them.

These names are the public interface. Modules below this package are internal.
"""

from ajobs.client.client import Client
from ajobs.protocol.task import Task
from ajobs.worker.context import Context
from ajobs.worker.handlers import Command, CommandFailedError, Remote, RemoteFailedError
from ajobs.worker.handlers.command import CommandOptions
from ajobs.worker.middleware import Handle, Middleware, chain, log_runs, recover, time_limit, tracing
from ajobs.worker.middleware.recover import RecoveredError
from ajobs.worker.middleware.time_limit import TimeLimitError
from ajobs.worker.options import Share, WorkerOptions
from ajobs.worker.outcomes import DiscardTask, RetryTask, TerminateTask
from ajobs.worker.remote import remote_service
from ajobs.worker.routing.loading import load_router
from ajobs.worker.routing.router import RouteOptions, Router
from ajobs.worker.running.executors import HandlerFailedError, ProcessDiedError
from ajobs.worker.worker import Worker

__all__ = [
    "Client",
    "Command",
    "CommandFailedError",
    "CommandOptions",
    "Context",
    "DiscardTask",
    "Handle",
    "HandlerFailedError",
    "Middleware",
    "ProcessDiedError",
    "RecoveredError",
    "Remote",
    "RemoteFailedError",
    "RetryTask",
    "RouteOptions",
    "Router",
    "Share",
    "Task",
    "TerminateTask",
    "TimeLimitError",
    "Worker",
    "WorkerOptions",
    "chain",
    "load_router",
    "log_runs",
    "recover",
    "remote_service",
    "time_limit",
    "tracing",
]
