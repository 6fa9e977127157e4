"""Handlers that send mail: plain functions, which run in threads as the standard library's SMTP client needs it."""

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
"""Whoever comes first makes it. The time is that of ten answers of a slow SMTP server: a thread cannot be stopped, and
one that went on after its time would send beside the next try."""

router = Router()

RETRIES = exponential_policy(first=1, longest="1h")
"""About a second, then twice as long each time, up to an hour: 20 tries are spread over eight hours."""


class Welcome(msgspec.Struct):
    """A new user to welcome."""

    to: str
    name: str


@router.lifespan
async def mailer() -> AsyncGenerator[Mailer]:
    """Keep connections to the SMTP server for as long as the worker lives."""
    opened = Mailer(settings_of(os.environ))
    yield opened
    await asyncio.to_thread(opened.close)


@router.handler("mail:send", retry_policy=RETRIES)
def send(mail: Mail, context: Context, mailer: Mailer) -> str:
    """Send a mail as it is, and return its Message-ID."""
    return deliver(mail, context, mailer)


@router.handler("mail:welcome", retry_policy=RETRIES)
def welcome(user: Welcome, context: Context, mailer: Mailer) -> str:
    """Send what every new user gets."""
    text = f"Hello {user.name},\n\nit is good to have you here.\n"
    return deliver(Mail(to=user.to, subject=f"Welcome, {user.name}", text=text), context, mailer)


def deliver(mail: Mail, context: Context, mailer: Mailer) -> str:
    """Hand one mail to the SMTP server, and say what shall become of the task when it does not take it."""
    try:
        message = make_message(mail, context.task, sender=mailer.settings.sender)
    except ValueError as e:
        raise TerminateTask(str(e)) from e
    try:
        mailer.send(message)
    except (smtplib.SMTPSenderRefused, smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError) as e:
        code, text = reply_of(e)
        refused = f"the SMTP server refuses the mail: {code} {text}"
        if code >= 500:
            raise TerminateTask(refused) from e  # it would say the same again
        raise RetryTask(refused) from e  # when, the retry policy says
    # Anything else, such as no connection, a wrong password or a time-out, says nothing about this mail: it fails the
    # try, and the mail waits until somebody has put it right.
    context.logger.info("the SMTP server took %s", message["Message-ID"])
    return str(message["Message-ID"])
