"""Builds a task's message. The message depends on the task alone, so that each try sends the same bytes."""

from __future__ import annotations

import re
from email.headerregistry import Address
from email.message import EmailMessage
from urllib.parse import quote

import msgspec

from ajobs.worker import Task

ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")
"""Addresses that every SMTP server accepts. Whether the mailbox exists, only the receiving server knows."""


class Mail(msgspec.Struct):
    """A mail to one recipient. With several, a retry would send it again to recipients who already have it."""

    to: str
    subject: str
    text: str


def make_message(mail: Mail, task: Task, *, sender: Address) -> EmailMessage:
    """Build the message of a task.

    Raises:
        ValueError: The recipient is not a valid address, or a header contains a line break, which could add headers.
    """
    message = EmailMessage()
    message["From"] = sender
    message["To"] = address(mail.to)
    try:
        message["Subject"] = mail.subject
    except ValueError as e:
        raise ValueError(f"invalid subject {mail.subject!r}: {e}") from e
    message["Date"] = task.created_time.replace(microsecond=0)
    # The task's id is the same in every try. An id chosen by a producer may contain characters that are invalid here.
    message["Message-ID"] = f"<{quote(task.id)}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # suppresses out-of-office replies
    message.set_content(mail.text)
    return message


def address(text: str) -> Address:
    """Parse a mail address.

    Raises:
        ValueError: The text is not a valid address.
    """
    if not ADDRESS.fullmatch(text):
        raise ValueError(
            f"{text!r} is not a valid mail address: use one such as ann@example.net, without a display name"
        )
    username, _, domain = text.rpartition("@")
    return Address(username=username, domain=domain)
