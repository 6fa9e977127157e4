"""The mail example with a real worker process and a real SMTP server."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import Message

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult

from ajobs.client import Client, Queue, TaskState
from ajobs.testing.processes import WorkerProcess, worker_process
from examples.mail.message import Mail
from tests import ROOT

S = TaskState
MAIL = Mail("ann@example.net", "Hello", "Good to see you.\n")


class Inbox:
    """The messages that an SMTP server received, and its next replies."""

    def __init__(self) -> None:
        self.contents: list[bytes] = []
        self.replies: list[str] = []
        self.received = asyncio.Event()
        self.may_reply = asyncio.Event()
        self.may_reply.set()
        self.connections: list[SMTP] = []
        self.port = 0
        self.options: dict = {}

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 - the library calls it
        if address.startswith("nobody"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.contents.append(envelope.content)
        self.received.set()
        await self.may_reply.wait()
        if b"SPAM" in envelope.content:
            return "554 this looks like spam"
        return self.replies.pop(0) if self.replies else "250 OK"

    def connection(self) -> SMTP:
        self.connections.append(SMTP(self, hostname="localhost", loop=asyncio.get_running_loop(), **self.options))
        return self.connections[-1]

    @property
    def messages(self) -> list[Message]:
        return [message_from_bytes(content) for content in self.contents]


@pytest.fixture
async def inbox() -> AsyncGenerator[Inbox]:
    inbox = Inbox()
    server = await asyncio.get_running_loop().create_server(inbox.connection, "127.0.0.1", 0)
    async with server:
        inbox.port = server.sockets[0].getsockname()[1]
        yield inbox
        server.close()
        for connection in inbox.connections:
            if connection.transport is not None:
                connection.transport.abort()


@asynccontextmanager
async def mailing(url: str, inbox: Inbox, *options: str, **variables: str) -> AsyncGenerator[WorkerProcess]:
    arguments = ("examples.mail.tasks:router", "--queue", "MAIL", "--server", url, *options)
    async with worker_process(*arguments, SMTP_PORT=str(inbox.port), **variables) as worker:
        await worker.wait_log("worker ready")
        yield worker


@pytest.fixture
async def producer(server) -> AsyncGenerator[Client]:
    queue = Queue(name="MAIL", max_run_time=2)  # how soon another worker gets the task of a dead one
    async with Client.connect(server.url, queue=queue) as client:
        yield client


async def run_producer(url: str, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "examples.mail", *arguments, cwd=ROOT, env=os.environ | {"NATS_URL": url},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_a_user_gets_one_welcome_mail_however_often_it_is_enqueued(server, inbox):
    async with mailing(server.url, inbox):
        first = await run_producer(server.url, "42", "ann@example.net", "Ann")
        again = await run_producer(server.url, "42", "ann@example.net", "Ann")
    assert first == (0, "sent as <welcome-42@example.net>\n")
    assert again == (0, "task welcome-42 was started before\nsent as <welcome-42@example.net>\n")
    (message,) = inbox.messages
    assert (message["To"], message["Subject"]) == ("ann@example.net", "Welcome, Ann")
    assert message.get_payload().startswith("Hello Ann,")


async def test_the_producer_reports_a_mail_that_cannot_be_sent(server, inbox):
    async with mailing(server.url, inbox):
        code, output = await run_producer(server.url, "42", "nobody@example.net", "Nobody")
    assert code == 1
    assert "550 no such mailbox" in output


async def test_a_temporary_refusal_is_retried_with_the_same_message(server, inbox, producer):
    inbox.replies = ["451 try again later"]
    async with mailing(server.url, inbox):
        task = await producer.wait((await producer.enqueue("mail:send", MAIL)).id, timeout=30)
    assert (task.state, task.tries) == (S.COMPLETE, 2)
    first, second = inbox.contents
    assert first == second


async def test_a_permanent_refusal_terminates_the_task_after_one_try(server, inbox, producer):
    refused = [
        (Mail("nobody@example.net", "Hello", ""), "550 no such mailbox"),
        (Mail("ann@example.net", "Hello", "SPAM"), "554 this looks like spam"),
        (Mail("ann", "Hello", ""), "'ann' is not a valid mail address"),
        (Mail("ann@example.net", "Hello\nBcc: eve@example.net", ""), "invalid subject"),
    ]
    async with mailing(server.url, inbox):
        for mail, error in refused:
            task = await producer.wait((await producer.enqueue("mail:send", mail)).id, timeout=30)
            assert (task.state, task.tries) == (S.TERMINATED, 1)
            assert error in task.last_err


async def test_a_password_is_sent_only_to_a_server_with_a_valid_certificate(server, inbox, producer, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "password").write_text("sesame\n")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    logins: list[bytes] = []

    def authenticate(_server, _session, _envelope, _mechanism, login):
        logins.append(login.password)
        return AuthResult(success=login.password == b"sesame")

    inbox.options = {"tls_context": context, "auth_required": True, "authenticator": authenticate}
    secure = {"SMTP_SECURITY": "starttls", "SMTP_USER": "ann", "SMTP_PASSWORD_FILE": str(tmp_path / "password")}
    task = await producer.enqueue("mail:send", MAIL)
    async with mailing(server.url, inbox, **secure) as worker:
        assert "CERTIFICATE_VERIFY_FAILED" in await worker.wait_log("outcome=retry")
    assert logins == []
    async with mailing(server.url, inbox, **secure, SSL_CERT_FILE=str(tmp_path / "ca.pem")) as worker:
        ended = await producer.wait(task.id, timeout=60)
    assert ended.state is S.COMPLETE
    assert logins == [b"sesame"]
    assert len(inbox.contents) == 1
    assert "sesame" not in "".join(worker.log)


async def test_mails_share_connections_and_a_closed_connection_is_replaced(server, inbox, producer):
    async with mailing(server.url, inbox, "--concurrency", "2"):
        tasks = (await producer.enqueue_many(producer.new_task("mail:send", MAIL) for _ in range(20))).enqueued
        for task in tasks:
            await producer.result(task.id, timeout=30)
        assert 1 <= len(inbox.connections) <= 2
        for connection in inbox.connections:
            connection.transport.abort()
        late = await producer.wait((await producer.enqueue("mail:send", MAIL)).id, timeout=30)
    assert (late.state, late.tries) == (S.COMPLETE, 1)
    assert len(inbox.contents) == 21


async def test_a_worker_that_dies_before_the_server_replies_leads_to_the_same_mail_again(server, inbox, producer):
    inbox.may_reply.clear()
    async with mailing(server.url, inbox) as first:
        task = await producer.enqueue("mail:send", MAIL)
        await inbox.received.wait()
        await first.kill()
    inbox.may_reply.set()
    async with mailing(server.url, inbox):
        ended = await producer.wait(task.id, timeout=60)
    assert (ended.state, ended.tries) == (S.COMPLETE, 2)
    first_mail, second_mail = inbox.messages
    assert first_mail["Message-ID"] == second_mail["Message-ID"] == f"<{task.id}@example.net>"
    assert inbox.contents[0] == inbox.contents[1]
