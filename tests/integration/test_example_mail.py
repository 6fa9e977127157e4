"""The mail example, on a real worker process and a real SMTP server."""

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
    """What an SMTP server got, and what it is to answer next."""

    def __init__(self) -> None:
        self.contents: list[bytes] = []
        self.answers: list[str] = []
        self.got_one = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.connections: list[SMTP] = []
        self.port = 0
        self.options: dict = {}

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 - what the library calls
        if address.startswith("nobody"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.contents.append(envelope.content)
        self.got_one.set()
        await self.may_answer.wait()
        if b"SPAM" in envelope.content:
            return "554 this looks like spam"
        return self.answers.pop(0) if self.answers else "250 OK"

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
    queue = Queue(name="MAIL", max_run_time=2)  # how soon a dead worker's task is run by another
    async with Client.connect(server.url, queue=queue) as client:
        yield client


async def run_producer(url: str, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "examples.mail", *arguments, cwd=ROOT, env=os.environ | {"NATS_URL": url},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_a_user_is_welcomed_once_however_often_that_is_enqueued(server, inbox):
    async with mailing(server.url, inbox):
        first = await run_producer(server.url, "42", "ann@example.net", "Ann")
        again = await run_producer(server.url, "42", "ann@example.net", "Ann")
    assert first == (0, "sent as <welcome-42@example.net>\n")
    assert again == (0, "task welcome-42 was started before\nsent as <welcome-42@example.net>\n")
    (message,) = inbox.messages
    assert (message["To"], message["Subject"]) == ("ann@example.net", "Welcome, Ann")
    assert message.get_payload().startswith("Hello Ann,")


async def test_what_cannot_be_sent_is_said_by_the_producer(server, inbox):
    async with mailing(server.url, inbox):
        code, output = await run_producer(server.url, "42", "nobody@example.net", "Nobody")
    assert code == 1
    assert "550 no such mailbox" in output


async def test_a_temporary_refusal_is_tried_again_with_the_same_message(server, inbox, producer):
    inbox.answers = ["451 try again later"]
    async with mailing(server.url, inbox):
        task = await producer.wait((await producer.enqueue("mail:send", MAIL)).id, timeout=30)
    assert (task.state, task.tries) == (S.COMPLETE, 2)
    first, second = inbox.contents
    assert first == second


async def test_a_permanent_refusal_ends_the_task_after_one_try(server, inbox, producer):
    refused = [
        (Mail("nobody@example.net", "Hello", ""), "550 no such mailbox"),
        (Mail("ann@example.net", "Hello", "SPAM"), "554 this looks like spam"),
        (Mail("ann", "Hello", ""), "'ann' is no mail address"),
        (Mail("ann@example.net", "Hello\nBcc: eve@example.net", ""), "the subject"),
    ]
    async with mailing(server.url, inbox):
        for mail, error in refused:
            task = await producer.wait((await producer.enqueue("mail:send", mail)).id, timeout=30)
            assert (task.state, task.tries) == (S.TERMINATED, 1)
            assert error in task.last_err


async def test_a_password_goes_only_to_a_server_whose_certificate_is_right(server, inbox, producer, tmp_path):
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


async def test_mails_share_connections_and_one_that_the_server_closed_is_replaced(server, inbox, producer):
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


async def test_a_worker_that_dies_before_it_hears_that_the_mail_was_taken_leads_to_the_same_mail_again(
    server, inbox, producer
):
    inbox.may_answer.clear()
    async with mailing(server.url, inbox) as first:
        task = await producer.enqueue("mail:send", MAIL)
        await inbox.got_one.wait()
        await first.kill()
    inbox.may_answer.set()
    async with mailing(server.url, inbox):
        ended = await producer.wait(task.id, timeout=60)
    assert (ended.state, ended.tries) == (S.COMPLETE, 2)
    first_mail, second_mail = inbox.messages
    assert first_mail["Message-ID"] == second_mail["Message-ID"] == f"<{task.id}@example.net>"
    assert inbox.contents[0] == inbox.contents[1]
