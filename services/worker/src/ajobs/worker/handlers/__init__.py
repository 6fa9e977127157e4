"""Handlers outside this process: programs, and services that answer requests."""

from ajobs.worker.handlers.command import Command, CommandFailedError
from ajobs.worker.handlers.remote import Remote, RemoteFailedError

__all__ = ["Command", "CommandFailedError", "Remote", "RemoteFailedError"]
