"""Handlers that send mail. They are plain functions, which run in threads, because the SMTP client blocks."""

from __future__ import annotations

import asyncio
import os
import smtplib
from collections.abc import AsyncGenerator

import msgspec

from ajobs.client import Queue
from ajobs.protocol.retry import exponential_policy
from ajobs.worker import Context, RetryTask, Router, TerminateTask

from .mailer import Mailer, reply_of, settings_of
from .message import Mail, make_message

QUEUE = Queue(name="MAIL", max_run_time="5m")
"""Created by the first program that uses it. The max run time allows ten replies of a slow SMTP server: a thread cannot
be stopped, and one that exceeded its time would send at the same time as the next try."""

router = Router()

RETRIES = exponential_policy(first=1, longest="1h")
"""About a second, doubled after each try up to an hour, so that 20 tries are spread over eight hours."""


class Welcome(msgspec.Struct):
    """A new user to welcome."""

    to: str
    name: str


@router.lifespan
async def mailer() -> AsyncGenerator[Mailer]:
    """Keep connections to the SMTP server open while the worker runs."""
    opened = Mailer(settings_of(os.environ))
    yield opened
    await asyncio.to_thread(opened.close)


@router.handler("mail:send", retry_policy=RETRIES)
def send(mail: Mail, context: Context, mailer: Mailer) -> str:
    """Send a mail and return its Message-ID."""
    return deliver(mail, context, mailer)


@router.handler("mail:welcome", retry_policy=RETRIES)
def welcome(user: Welcome, context: Context, mailer: Mailer) -> str:
    """Send the welcome mail of a new user and return its Message-ID."""
    text = f"Hello {user.name},\n\nit is good to have you here.\n"
    return deliver(Mail(to=user.to, subject=f"Welcome, {user.name}", text=text), context, mailer)


def deliver(mail: Mail, context: Context, mailer: Mailer) -> str:
    """Hand a mail to the SMTP server. If it is refused, decide whether the task is retried or terminated."""
    try:
        message = make_message(mail, context.task, sender=mailer.settings.sender)
    except ValueError as e:
        raise TerminateTask(str(e)) from e
    try:
        mailer.send(message)
    except (smtplib.SMTPSenderRefused, smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError) as e:
        code, text = reply_of(e)
        refused = f"the SMTP server refused the mail: {code} {text}"
        if code >= 500:
            raise TerminateTask(refused) from e  # retrying cannot help
        raise RetryTask(refused) from e  # after the delay of the retry policy
    # Any other error, such as a refused connection, a wrong password or a timeout, is not about this mail. It fails the
    # try, and the retry policy spaces the next ones.
    context.logger.info("the SMTP server accepted %s", message["Message-ID"])
    return str(message["Message-ID"])
