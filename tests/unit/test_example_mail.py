"""The pure parts of the mail example: addresses, settings, and the message of a task."""

from __future__ import annotations

import smtplib

import pytest

from ajobs.client.tasks.new import make_task
from ajobs.protocol.errors import ConfigurationError
from examples.mail.mailer import reply_of, settings_of
from examples.mail.message import Mail, address, make_message

SENDER = address("hello@example.net")


@pytest.mark.parametrize("text", ["ann@example.net", "a.b+c@example.co.uk", "a@localhost"])
def test_a_valid_address_is_accepted_unchanged(text):
    assert str(address(text)) == text


@pytest.mark.parametrize(
    "text", ["", "ann", "a@", "@b", "a b@c.d", "Ann <a@b.c>", "a@b.c, d@e.f", "a@b\n", "a@b\r\nBcc: c@d", "ä@b.de"]
)
def test_an_invalid_address_is_refused(text):
    with pytest.raises(ValueError, match="is not a valid mail address"):
        address(text)


def test_a_message_is_the_same_each_time_it_is_built_and_carries_the_task_id():
    task = make_task("mail:send", None, task_id="welcome:42")
    messages = [make_message(Mail("ann@example.net", "Grüße", "Täglich\n"), task, sender=SENDER) for _ in range(2)]
    assert messages[0].as_bytes() == messages[1].as_bytes()
    assert messages[0]["Message-ID"] == "<welcome%3A42@example.net>"
    assert messages[0].get_content() == "Täglich\n"


def test_settings_come_from_variables():
    settings = settings_of({"SMTP_HOST": "smtp.example.net", "SMTP_PORT": "587", "SMTP_SECURITY": "starttls"})
    assert (settings.host, settings.port, settings.security) == ("smtp.example.net", 587, "starttls")
    assert str(settings.sender) == "hello@example.net"


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("SMTP_PORT", "smtp", r"`\$.port`"),
        ("SMTP_SECURITY", "ssl", r"`\$.security`"),
        ("SMTP_SENDER", "Hello", "'Hello' is not a valid mail address"),
    ],
)
def test_an_invalid_variable_is_named(name, value, error):
    with pytest.raises(ConfigurationError, match=error):
        settings_of({name: value})


@pytest.mark.parametrize(
    ("refusal", "reply"),
    [
        (smtplib.SMTPDataError(554, b"spam"), (554, "spam")),
        (smtplib.SMTPSenderRefused(451, b"later", "hello@example.net"), (451, "later")),
        (smtplib.SMTPRecipientsRefused({"ann@example.net": (550, b"unknown \xff")}), (550, "unknown �")),
    ],
)
def test_the_reply_of_the_server_is_read_from_each_kind_of_refusal(refusal, reply):
    assert reply_of(refusal) == reply
