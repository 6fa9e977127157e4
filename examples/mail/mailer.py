"""The connection to the SMTP server."""

from __future__ import annotations

import smtplib
import ssl
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path
from typing import Literal

import msgspec

from ajobs.protocol.errors import ConfigurationError

from .message import address


class Settings(msgspec.Struct, frozen=True):
    """Settings of the SMTP connection."""

    sender: Address
    """The sender of all mails."""
    host: str = "127.0.0.1"
    port: int = 1025
    security: Literal["none", "starttls", "tls"] = "none"
    user: str = ""
    password_file: str = ""
    """A file, so that the password does not show up in process lists or variables."""
    timeout_s: float = 30.0
    """Seconds that the server may take for one reply."""


def settings_of(environ: Mapping[str, str]) -> Settings:
    """Read the settings from variables such as ``SMTP_HOST``.

    Raises:
        ConfigurationError: A value is invalid.
    """
    given = {
        name: environ[f"SMTP_{name.upper()}"]
        for name in Settings.__struct_fields__
        if environ.get(f"SMTP_{name.upper()}")
    }
    try:
        sender = address(given.pop("sender", "hello@example.net"))
        return msgspec.convert(given | {"sender": sender}, Settings, strict=False)
    except ValueError as e:
        raise ConfigurationError(f"invalid SMTP_* variables: {e}") from e


class Mailer:
    """Sends messages from any number of threads. Each concurrent send uses its own connection."""

    def __init__(self, settings: Settings) -> None:
        """Create a mailer; it connects when a message is sent."""
        self.settings = settings
        self._idle: deque[smtplib.SMTP] = deque()

    def send(self, message: EmailMessage) -> None:
        """Send a message and return once the server has accepted it. Raises the errors of `smtplib`."""
        smtp = self._take()
        try:
            smtp.send_message(message)
        except BaseException:
            smtp.close()  # the state of the connection is unknown
            raise
        self._idle.append(smtp)

    def close(self) -> None:
        """Close all connections."""
        while self._idle:
            with suppress(smtplib.SMTPException, OSError):
                self._idle.pop().quit()

    def _take(self) -> smtplib.SMTP:
        with suppress(IndexError):
            while True:
                smtp = self._idle.pop()
                if _is_alive(smtp):
                    return smtp
                smtp.close()
        return self._connect()

    def _connect(self) -> smtplib.SMTP:
        settings = self.settings
        if settings.security == "tls":
            # Without a context the library would not verify the server's certificate.
            context = ssl.create_default_context()
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                settings.host, settings.port, timeout=settings.timeout_s, context=context
            )
        else:
            smtp = smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout_s)
        try:
            if settings.security == "starttls":
                smtp.starttls(context=ssl.create_default_context())
            if settings.user:
                smtp.login(settings.user, Path(settings.password_file).read_text(encoding="utf-8").strip())
        except BaseException:
            smtp.close()
            raise
        return smtp


def _is_alive(smtp: smtplib.SMTP) -> bool:
    """Return whether the connection still works: servers close idle connections."""
    try:
        return smtp.noop()[0] == 250
    except (smtplib.SMTPException, OSError):
        return False


def reply_of(
    error: smtplib.SMTPSenderRefused | smtplib.SMTPRecipientsRefused | smtplib.SMTPDataError,
) -> tuple[int, str]:
    """Return the server's reply code and text for a refused message with one recipient."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(error.recipients.values()))
    else:
        code, text = error.smtp_code, error.smtp_error
    return code, text.decode(errors="replace") if isinstance(text, bytes) else text
