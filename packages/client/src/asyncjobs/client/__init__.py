"""The client for producers and services: store, enqueue, load and watch tasks, manage queues."""

from asyncjobs.client.addresses import ConnectOptions
from asyncjobs.client.blocking import BlockingClient
from asyncjobs.client.bulk import BulkFailure, BulkResult
from asyncjobs.client.client import Client, TaskPage
from asyncjobs.client.filters import TaskFilter
from asyncjobs.client.making import TaskOptions
from asyncjobs.client.options import ClientOptions
from asyncjobs.client.schedules import ScheduleInfo
from asyncjobs.client.storage.queues import QueueInfo
from asyncjobs.client.storage.store import StoreInfo
from asyncjobs.protocol.queue import Queue
from asyncjobs.protocol.states import TaskState
from asyncjobs.protocol.task import Task

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
