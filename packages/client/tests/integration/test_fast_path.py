"""The fast path through the NATS library: what it relies on, and that it loses and changes nothing."""

from __future__ import annotations

import asyncio
import logging

import nats
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.errors import ProtocolError
from nats.protocol.parser import Parser

from ajobs.client import Client
from ajobs.client.nats.fast_path import FastPath
from ajobs.protocol.errors import ConnectionFailedError, InvalidNameError
from ajobs.protocol.headers import header_block, parse_headers, status_of


class FakeLibrary:
    """Notes what is passed on to the library."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []
        self._ps = Parser(self)
        self._pongs: list[asyncio.Future] = []

    async def _process_msg(self, *message) -> None:
        self.calls.append(message)

    async def _process_ping(self) -> None:
        self.calls.append(("PING",))

    async def _process_pong(self) -> None:
        self.calls.append(("PONG",))

    async def _process_info(self, info) -> None:
        self.calls.append(("INFO", info))

    async def _process_err(self, error) -> None:
        self.calls.append(("-ERR", error))


def message(subject: bytes, sid: int, data: bytes, *, reply: bytes = b"", headers: bytes = b"") -> bytes:
    """Return a message as a server sends it."""
    words = [b"HMSG" if headers else b"MSG", subject, b"%d" % sid]
    words += [reply] if reply else []
    words += [b"%d" % len(headers)] if headers else []
    return b" ".join([*words, b"%d" % (len(headers) + len(data))]) + b"\r\n" + headers + data + b"\r\n"


EMPTY = b"NATS/1.0\r\n\r\n"
HEADERS = b"NATS/1.0\r\nA: b\r\n\r\n"
TRICKY = b"with\r\nMSG in the \r\n middle \r"
STREAM = (
    b'INFO {"server_id":"x"} \r\nPING\r\nPONG\r\n+OK\r\n'
    + message(b"a.b", 7, b"hello")
    + message(b"a.b", 8, b"", reply=b"reply.to")
    + message(b"h", 7, b"", headers=EMPTY)
    + message(b"h", 8, b"xyz", reply=b"r.e", headers=HEADERS)
    + b"-ERR 'Permissions Violation'\r\n"
    + message(b"long", 7, TRICKY)
)
TO_THE_LIBRARY = [
    ("INFO", {"server_id": "x"}),
    ("PING",),
    ("PONG",),
    (8, b"a.b", b"reply.to", b"", None),
    (8, b"h", b"r.e", b"xyz", HEADERS),
    ("-ERR", "'permissions violation'"),
]
TO_US = [(b"a.b", b"", b"", b"hello"), (b"h", b"", EMPTY, b""), (b"long", b"", b"", TRICKY)]


async def read_in_parts(cuts: list[int], *, handed_over_after: int = 0) -> tuple[list, list]:
    """Feed the stream in parts, the first of them to the library's own parser."""
    library, ours = FakeLibrary(), []
    parts = [STREAM[a:b] for a, b in zip([0, *cuts], [*cuts, len(STREAM)], strict=True)]
    for part in parts[:handed_over_after]:
        await library._ps.parse(part)
    path = FastPath(library)
    path.register(7, lambda *message: ours.append(message))
    for part in parts[handed_over_after:]:
        await path.parse(part)
    return library.calls, ours


@given(st.lists(st.integers(0, len(STREAM)), max_size=12).map(sorted))
def test_however_the_stream_is_cut_each_message_arrives_once_and_whole(cuts):
    calls, ours = asyncio.run(read_in_parts(cuts))
    assert calls == TO_THE_LIBRARY
    assert ours == TO_US


@given(st.integers(0, len(STREAM)))
def test_it_continues_from_any_state_of_the_librarys_parser(cut):
    calls, ours = asyncio.run(read_in_parts([cut], handed_over_after=1))
    assert [call for call in calls if call[0] != 7] == TO_THE_LIBRARY
    # Messages that the library's parser dispatched before had no receiver of ours yet.
    before = [(subject, reply, headers or b"", data) for _, subject, reply, data, headers in _of(7, calls)]
    assert before + ours == TO_US


def _of(sid: int, calls: list[tuple]) -> list[tuple]:
    return [call for call in calls if call[0] == sid]


@pytest.mark.parametrize(
    "garbage",
    [
        b"HELLO\r\n", b"x" * 70_000, b"MSG a 1 x\r\n", b"MSG a 1 -9\r\nx\r\n", b"HMSG a 1 9 3\r\nabc\r\n",
        b"HMSG a 1\r\n", b"HMSG a 1 -3 3\r\nabc\r\n", b"MSG a 1 99999999999\r\n", b"MSG\r\n", b"INFO {\r\n",
        b"INFO \xff\r\n", b"\r\n", b"-ERR 'maximum control line exceeded'\r\n",
        b"-ERR \xff\r\n", b"MSG \xff x 1\r\na\r\n",
    ],
)  # fmt: skip
async def test_invalid_bytes_from_the_server_are_a_lost_connection(garbage):
    with pytest.raises(ProtocolError):
        await FastPath(FakeLibrary()).parse(garbage)


async def test_a_large_message_is_joined_once(monkeypatch):
    """Joining it with every chunk would copy 64 MiB thousands of times."""
    path, sizes = FastPath(FakeLibrary()), []
    whole = path._parse

    async def counted(buffer):
        sizes.append(len(buffer))
        return await whole(buffer)

    monkeypatch.setattr(path, "_parse", counted)
    received = []
    path.register(1, lambda *message: received.append(message))
    data = message(b"a", 1, b"x" * 1_000_000)
    for position in range(0, len(data), 1_000):
        await path.parse(data[position : position + 1_000])
    assert [len(each[3]) for each in received] == [1_000_000]
    assert sum(sizes) <= 2 * len(data)


async def test_a_pong_without_a_waiter_does_not_end_the_reading(server):
    async with await nats.connect(server.url) as theirs, Client.connect(connection=theirs, queue="Q") as client:
        waiting = asyncio.create_task(theirs.flush())
        while not theirs._pongs:
            await asyncio.sleep(0)
        waiting.cancel()
        assert (await client.enqueue("t", 1)).id
        assert not theirs._reading_task.done()


@pytest.mark.parametrize("command", [b"PUB " + b"a" * 4_200 + b" 0\r\n\r\n", b"NONSENSE\r\n"])
async def test_an_error_that_the_server_sends_ends_the_connection_and_not_the_client(server, command):
    async with Client.connect(server.url, queue="Q") as client:
        back = asyncio.Event()
        client.storage.connection.on_reconnect(back.set)
        client.storage.connection.nats._transport.write(command)
        async with asyncio.timeout(30):
            await back.wait()
        assert (await client.enqueue("t", 1)).id


@pytest.mark.parametrize(
    "subject", ["a b", "a\r\nPUB x 0\r\n", "a\n", "a\tb", "a\x00", "a" * 4_000, "a\u2028b", "a\x85b"]
)
async def test_a_subject_that_the_server_would_read_as_something_else_is_never_sent(server, subject):
    async with Client.connect(server.url, queue="Q") as client:
        with pytest.raises(InvalidNameError, match="invalid subject"):
            client.storage.requests.send(subject, b"x")
        assert client.storage.connection.is_connected


async def test_a_receiver_that_fails_does_not_end_the_reading(caplog):
    path, ours = FastPath(FakeLibrary()), []
    path.register(1, lambda *_: 1 / 0)
    path.register(2, lambda *message: ours.append(message))
    with caplog.at_level(logging.ERROR):
        await path.parse(b"MSG a 1 1\r\nx\r\nMSG a 2 1\r\ny\r\n")
    assert "ZeroDivisionError" in caplog.text
    assert ours == [(b"a", b"", b"", b"y")]
    path.forget(2)
    await path.parse(b"MSG a 2 1\r\nz\r\n")
    assert len(ours) == 1


def test_headers_are_sent_and_read_unchanged():
    block = header_block({"A": "b", "Trace": "one\r\ntwo"})
    assert block == b"NATS/1.0\r\nA: b\r\nTrace: one two\r\n\r\n"
    assert parse_headers(block) == {"A": "b", "Trace": "one two"}
    assert header_block({}) == b""
    assert (status_of(b"NATS/1.0 503\r\n\r\n"), status_of(block), status_of(b"")) == ("503", "", "")


async def test_other_users_of_the_connection_are_not_affected(server):
    """Subscriptions, requests and JetStream of a program that passes its own connection, with headers and queues."""
    async with await nats.connect(server.url) as theirs, Client.connect(connection=theirs, queue="Q") as client:
        subscription = await theirs.subscribe("s.>")

        async def answer(message) -> None:
            await message.respond(b"answer to " + message.data)

        await theirs.subscribe("ask", cb=answer)
        await theirs.publish("s.1", b"x" * 100_000, headers={"A": "b"})
        message = await subscription.next_msg(timeout=10)
        assert (len(message.data), message.headers) == (100_000, {"A": "b"})
        assert (await theirs.request("ask", b"me", timeout=10)).data == b"answer to me"
        tasks = [await client.enqueue("t", n) for n in range(50)]
        stored = await theirs.jetstream().get_last_msg("CHORIA_AJ_TASKS", f"CHORIA_AJ.T.{tasks[-1].id}")
        assert stored.data
        assert FastPath.of(theirs) is client.storage.connection.fast_path


async def test_sent_messages_keep_their_order_and_wait_during_an_outage(server):
    async with await nats.connect(server.url) as listener, Client.connect(server.url, queue="Q") as client:
        connection = client.storage.connection
        subscription = await listener.subscribe("order")
        await listener.flush()
        for number in range(500):
            if number % 2:
                client.storage.requests.send("order", b"%d" % number)
            else:
                await connection.nats.publish("order", b"%d" % number)
        got = [int((await subscription.next_msg(timeout=10)).data) for _ in range(500)]
        assert got == list(range(500))
        back = asyncio.Event()
        connection.on_reconnect(back.set)
        server.kill()
        while connection.is_connected:
            await asyncio.sleep(0)
        client.storage.requests.send("later", b"kept")
        await server.start()
        await back.wait()
        assert (await client.enqueue("t", 1)).id


async def test_a_closed_connection_is_an_error(server):
    async with Client.connect(server.url) as client:
        await client.storage.connection.nats.close()
        with pytest.raises(ConnectionFailedError, match="closed"):
            client.storage.requests.send("s", b"")
