"""Workers: route tasks to handlers, and process queues with them."""

from ajobs.client.client import Client
from ajobs.protocol.task import Task
from ajobs.worker.context import Context
from ajobs.worker.options import Share, WorkerOptions
from ajobs.worker.outcomes import DiscardTask, RetryTask, TerminateTask
from ajobs.worker.routing.router import Router
from ajobs.worker.worker import Worker

__all__ = [
    "Client",
    "Context",
    "DiscardTask",
    "RetryTask",
    "Router",
    "Share",
    "Task",
    "TerminateTask",
    "Worker",
    "WorkerOptions",
]
