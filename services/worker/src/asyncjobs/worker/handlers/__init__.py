"""Handlers that are not written in Python, or not run by this process."""

from asyncjobs.worker.handlers.command import Command, CommandFailedError
from asyncjobs.worker.handlers.remote import Remote, RemoteFailedError

__all__ = ["Command", "CommandFailedError", "Remote", "RemoteFailedError"]
