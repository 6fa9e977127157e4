"""The client for producers and services: store, enqueue, load and watch tasks, manage queues."""

from ajobs.client.blocking import BlockingClient
from ajobs.client.client import Client
from ajobs.client.nats.addresses import ConnectOptions
from ajobs.client.options import ClientOptions
from ajobs.client.schedules.schedules import ScheduleInfo
from ajobs.client.storage.queues import QueueInfo
from ajobs.client.storage.task_store import StoreInfo
from ajobs.client.tasks.bulk import BulkFailure, BulkResult
from ajobs.client.tasks.filter import TaskFilter
from ajobs.client.tasks.new import TaskOptions
from ajobs.client.tasks.pages import TaskPage
from ajobs.protocol.queue import Queue
from ajobs.protocol.states import TaskState
from ajobs.protocol.task import Task

__all__ = [
    "BlockingClient",
    "BulkFailure",
    "BulkResult",
    "Client",
    "ClientOptions",
    "ConnectOptions",
    "Queue",
    "QueueInfo",
    "ScheduleInfo",
    "StoreInfo",
    "Task",
    "TaskFilter",
    "TaskOptions",
    "TaskPage",
    "TaskState",
]
