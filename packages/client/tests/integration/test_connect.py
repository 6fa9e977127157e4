"""Reaching NATS in every way that it can be reached, and clear errors when it cannot be."""

from __future__ import annotations

import asyncio
import json
import logging

import nats
import nkeys
import pytest
import trustme

from ajobs.client import Client
from ajobs.client.nats.addresses import ConnectOptions
from ajobs.client.nats.connection import Connection
from ajobs.protocol.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    JetStreamNotEnabledError,
)
from ajobs.testing.nats_server import NatsServer
from packages.client.tests.nkeys_jwt import Account

pytestmark = pytest.mark.usefixtures("no_task_is_left")


@pytest.fixture
async def no_task_is_left():
    before = asyncio.all_tasks()
    yield
    left = {task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()}
    # What the library has cancelled ends in the next round of the loop.
    if left:
        await asyncio.wait(left, timeout=5)
    assert not {task for task in left if not task.done()}


async def works(url, **settings):
    async with Client.connect(url, **settings) as client:
        task = await client.enqueue("t", 1)
        return (await client.load(task.id)).id == task.id


async def test_without_settings_the_environment_selects_the_server(server, monkeypatch):
    monkeypatch.setenv("NATS_URL", server.url)
    assert await works(None)


async def test_user_and_password():
    async with NatsServer.run(config="authorization { user: joe, password: sesame }") as server:
        assert await works(server.url, user="joe", password="sesame")
        assert await works(f"nats://joe:sesame@127.0.0.1:{server.port}")
        with pytest.raises(AuthenticationError) as caught:
            await works(server.url, user="joe", password="wrong-one")
        assert "wrong-one" not in str(caught.value)
        with pytest.raises(AuthenticationError):
            await works(server.url)


async def test_token():
    async with NatsServer.run(config="authorization { token: sesame }") as server:
        assert await works(server.url, token="sesame")
        with pytest.raises(AuthenticationError):
            await works(server.url, token="wrong")


async def test_nkey(tmp_path):
    seed = nkeys.encode_seed(bytes(range(32)), nkeys.PREFIX_BYTE_USER)
    public = nkeys.from_seed(bytearray(seed)).public_key.decode()
    (tmp_path / "user.nk").write_bytes(seed)
    async with NatsServer.run(config=f"authorization {{ users: [ {{ nkey: {public} }} ] }}") as server:
        assert await works(server.url, nkey_seed_file=str(tmp_path / "user.nk"))


async def test_credentials_file(tmp_path):
    account = Account()
    (tmp_path / "user.creds").write_text(account.credentials())
    async with NatsServer.run(config=account.server_config()) as server:
        assert await works(server.url, credentials_file=str(tmp_path / "user.creds"))
        with pytest.raises(AuthenticationError):
            await works(server.url)


@pytest.mark.parametrize("field", ["credentials_file", "nkey_seed_file", "tls_ca"])
async def test_the_error_for_a_missing_file_names_it(field, server):
    with pytest.raises(ConfigurationError, match=r"missing\.file"):
        await works(server.url, **{field: "missing.file"})


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("credentials_file", ""),
        ("credentials_file", "-----BEGIN NATS USER JWT-----\nsesame"),
        ("nkey_seed_file", ""),
        ("nkey_seed_file", "SUsesame"),
    ],
)
async def test_the_error_for_an_invalid_file_names_it_without_its_content(field, text, server, tmp_path):
    file = tmp_path / "broken.file"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"broken\.file") as caught:
        await works(server.url, **{field: str(file)})
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["nats", "NATS", "Nats"])
async def test_credentials_in_a_url_are_percent_decoded(scheme):
    login = 'user: "bob@corp", password: "p@ss:w/rd#1%"'
    async with NatsServer.run(config=f"authorization {{ {login} }}\n") as server:
        host = f"127.0.0.1:{server.port}"
        assert await works(f"{scheme}://bob%40corp:p%40ss%3Aw%2Frd%231%25@{host}")
        with pytest.raises(AuthenticationError) as caught:
            await works(f"{scheme}://bob%40corp:sesame%40@{host}")
        assert "sesame" not in str(caught.value)
    async with NatsServer.run(config='authorization { token: "t/k+n==" }\n') as server:
        assert await works(f"{scheme}://t%2Fk%2Bn%3D%3D@127.0.0.1:{server.port}")


async def test_cancelling_the_first_connect_leaves_nothing_open():
    """The server takes the connection and says nothing; what connects is cancelled, and it sees the end of it."""
    ended = asyncio.Event()
    accepted = asyncio.Event()

    async def say_nothing(reader, writer):
        accepted.set()
        await reader.read()
        ended.set()
        writer.close()

    listener = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        connecting = asyncio.create_task(works(f"nats://127.0.0.1:{port}", connect_timeout=60))
        await accepted.wait()
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        async with asyncio.timeout(10):
            await ended.wait()


@pytest.fixture
def certificates(tmp_path):
    authority = trustme.CA()
    for name, certificate in (
        ("server", authority.issue_cert("127.0.0.1", "localhost")),
        ("client", authority.issue_cert("joe")),
    ):
        certificate.private_key_pem.write_to_path(str(tmp_path / f"{name}.key"))
        certificate.cert_chain_pems[0].write_to_path(str(tmp_path / f"{name}.crt"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    return tmp_path


def tls_config(folder, more=""):
    return f'tls {{ cert_file: "{folder}/server.crt", key_file: "{folder}/server.key" {more} }}'


@pytest.mark.parametrize("first", [False, True])
async def test_tls_works_with_and_without_a_handshake_first(certificates, first):
    more = ", handshake_first: true" if first else ""
    async with NatsServer.run(config=tls_config(certificates, more)) as server:
        url = f"tls://127.0.0.1:{server.port}"
        assert await works(url, tls_ca=str(certificates / "ca.crt"), tls_first=first)
        if not first:
            with pytest.raises(ConnectionFailedError, match=r"certificate.*set tls_ca") as caught:
                await works(url, connect_timeout=2)
            assert "running there" not in str(caught.value)


async def test_mutual_tls(certificates):
    more = f', ca_file: "{certificates}/ca.crt", verify: true'
    async with NatsServer.run(config=tls_config(certificates, more)) as server:
        ca = str(certificates / "ca.crt")
        key = {"tls_cert": str(certificates / "client.crt"), "tls_key": str(certificates / "client.key")}
        assert await works(server.url, tls_ca=ca, **key)
        with pytest.raises(ConnectionFailedError):
            await works(server.url, tls_ca=ca, connect_timeout=2)


async def test_jetstream_domain_and_prefix():
    async with NatsServer.run(config="jetstream { domain: hub }") as server:
        assert await works(server.url, js_domain="hub")
        assert await works(server.url, js_api_prefix="$JS.hub.API")
        with pytest.raises(JetStreamNotEnabledError, match="domain"):
            await works(server.url, js_domain="elsewhere")


async def test_a_context_of_the_nats_command_line(server, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "nats" / "context"
    folder.mkdir(parents=True)
    (folder / "AJC.json").write_text(json.dumps({"url": server.url}))
    assert await works(None, context="AJC")
    (tmp_path / "nats" / "context.txt").write_text("AJC")
    assert await works(None)


async def test_the_error_for_a_server_without_jetstream_explains_the_remedy():
    async with NatsServer.run(jetstream=False) as server:
        with pytest.raises(JetStreamNotEnabledError, match="-js"):
            await works(server.url)


async def test_no_server_is_an_error_that_names_it_without_credentials():
    with pytest.raises(ConnectionFailedError, match=r"127\.0\.0\.1:1") as caught:
        await works("nats://joe:sesame@127.0.0.1:1", connect_timeout=1)
    assert "sesame" not in str(caught.value)


async def test_a_second_server_is_used_when_the_first_is_down(server):
    assert await works(["nats://127.0.0.1:1", server.url])


async def test_losing_and_regaining_the_server_is_reported_and_requests_work_again(server, caplog):
    caplog.set_level(logging.INFO)
    lost, regained = asyncio.Event(), asyncio.Event()
    async with Connection.open(ConnectOptions(servers=(server.url,))) as connection:
        connection.on_disconnect(lost.set)
        forget = connection.on_reconnect(lambda: 1 / 0)
        connection.on_reconnect(regained.set)
        server.kill()
        await lost.wait()
        assert not connection.is_connected
        await server.start()
        await regained.wait()
        assert await connection.require_jetstream() >= 0
        forget()
    assert "disconnected" in caplog.text
    assert "reconnected" in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_a_connection_that_is_passed_in_keeps_its_callbacks_and_stays_open(server):
    told: list[str] = []
    back = asyncio.Event()

    async def theirs():
        told.append("theirs")
        back.set()

    handed_in = await nats.connect(server.url, reconnected_cb=theirs, reconnect_time_wait=0)
    async with Client.connect(connection=handed_in) as client:
        client.storage.connection.on_reconnect(lambda: told.append("ours"))
        server.kill()
        await server.start()
        await back.wait()
        assert await client.enqueue("t", 1)
    assert told == ["theirs", "ours"]
    assert handed_in.is_connected
    assert handed_in._reconnected_cb is theirs
    await handed_in.close()
    with pytest.raises(ConnectionFailedError):
        async with Client.connect(connection=handed_in):
            pass
