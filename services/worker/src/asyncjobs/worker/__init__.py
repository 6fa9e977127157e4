"""Workers: route tasks to handlers, and process queues with them."""

from asyncjobs.client.client import Client
from asyncjobs.protocol.task import Task
from asyncjobs.worker.context import Context
from asyncjobs.worker.outcomes import DiscardTask, RetryTask, TerminateTask
from asyncjobs.worker.router import Router
from asyncjobs.worker.worker import Share, Worker

__all__ = ["Client", "Context", "DiscardTask", "RetryTask", "Router", "Share", "Task", "TerminateTask", "Worker"]
