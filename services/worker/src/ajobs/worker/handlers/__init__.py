"""Handlers that are not written in Python, or not run by this process."""

from ajobs.worker.handlers.command import Command, CommandFailedError
from ajobs.worker.handlers.remote import Remote, RemoteFailedError

__all__ = ["Command", "CommandFailedError", "Remote", "RemoteFailedError"]
