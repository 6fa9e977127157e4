"""Workers: route tasks to handlers, and process a queue with them."""

from asyncjobs.protocol.task import Task
from asyncjobs.worker.context import Context
from asyncjobs.worker.outcomes import RetryTask, TerminateTask
from asyncjobs.worker.router import Router
from asyncjobs.worker.worker import Worker

__all__ = ["Context", "RetryTask", "Router", "Task", "TerminateTask", "Worker"]
