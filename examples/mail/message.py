"""The message that a task stands for. It is a function of the task alone, so that each try sends the same bytes."""

from __future__ import annotations

import re
from email.headerregistry import Address
from email.message import EmailMessage
from urllib.parse import quote

import msgspec

from ajobs.worker import Task

ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")
"""What every SMTP server understands; whether there is such a mailbox, only the last of them knows."""


class Mail(msgspec.Struct):
    """A mail to one recipient: with several, a retry would reach again those who have it already."""

    to: str
    subject: str
    text: str


def make_message(mail: Mail, task: Task, *, sender: Address) -> EmailMessage:
    """Return the message of a task.

    Raises:
        ValueError: The recipient is no address, or a header would have a line break, which might add more headers.
    """
    message = EmailMessage()
    message["From"] = sender
    message["To"] = address(mail.to)
    try:
        message["Subject"] = mail.subject
    except ValueError as e:
        raise ValueError(f"the subject {mail.subject!r} cannot be used: {e}") from e
    message["Date"] = task.created_time.replace(microsecond=0)
    # The task's id is the same in every try. One that a producer chose may have a colon, which has no place in here.
    message["Message-ID"] = f"<{quote(task.id)}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # so that nobody's holiday notice answers
    message.set_content(mail.text)
    return message


def address(text: str) -> Address:
    """Return a mail address.

    Raises:
        ValueError: It is none.
    """
    if not ADDRESS.fullmatch(text):
        raise ValueError(f"{text!r} is no mail address: use one like ann@example.net, without a name around it")
    username, _, domain = text.rpartition("@")
    return Address(username=username, domain=domain)
