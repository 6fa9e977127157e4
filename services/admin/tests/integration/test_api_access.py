"""Who is let in by the HTTP API: tokens with scopes, certificates, and only loopback without either."""

from __future__ import annotations

import ssl
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import trustme

from ajobs.admin.api import tokens
from ajobs.admin.api.operations import OPERATIONS
from ajobs.admin.api.options import ServerOptions, parse_address
from ajobs.admin.api.tokens import Scope, new_token
from ajobs.admin.cli.main import run
from ajobs.protocol.errors import ConfigurationError, InvalidArgumentError
from ajobs.testing.processes import program
from services.admin.tests.integration.api_servers import api_server, http_client, problem


def token_file(folder: Path) -> tuple[Path, dict[str, dict[str, str]]]:
    """Write a file with a token for each scope, and return it with the headers to use each."""
    made = {scope: new_token(f"{scope}er", [scope]) for scope in Scope}
    path = folder / "tokens"
    path.write_text("# ours\n\n" + "".join(f"{line}\n" for _, line in made.values()))
    return path, {scope.value: {"Authorization": f"Bearer {token}"} for scope, (token, _) in made.items()}


async def test_each_operation_accepts_its_scope_and_higher_ones(server, client, tmp_path):
    path, headers = token_file(tmp_path)
    async with api_server(server, token_file=path) as api:
        for operation in OPERATIONS:
            if operation.name in {"watchEvents", "purgeTasks"}:
                continue  # one never ends, and the other has a test of its own
            url = operation.path.replace("{id}", "x").replace("{name}", "x")
            for scope in ("read", "write", "admin"):
                response = await api.http.request(operation.method, url, headers=headers[scope])
                order = ["read", "write", "admin"]
                allowed = operation.scope is None or order.index(scope) >= order.index(operation.scope)
                assert (response.status_code == 403) is not allowed, (operation.name, scope, response.text)
                if not allowed:
                    assert problem(response) == (403, "forbidden", "scope_missing")
        assert (await api.get("/v1/info", headers=headers["read"])).json()["auth"] == "token"


async def test_nothing_but_health_and_documentation_is_open_without_a_token(server, client, tmp_path):
    path, _ = token_file(tmp_path)
    open_to_all = {operation.path for operation in OPERATIONS if operation.scope is None}
    assert open_to_all == {"/healthz", "/readyz", "/v1/openapi.json", "/docs"}
    async with api_server(server, token_file=path) as api:
        for url in open_to_all:
            assert (await api.get(url)).status_code == 200
        response = await api.get("/v1/tasks")
        assert problem(response) == (401, "unauthenticated", "token_required")
        assert response.headers["www-authenticate"].startswith("Bearer")
        for value in ("Bearer wrong", "Basic YTpi", "Bearer", f"bearer {'x' * 1000}"):
            response = await api.get("/v1/tasks", headers={"Authorization": value})
            assert problem(response) == (401, "unauthenticated", "token_unknown")


async def test_failed_authentications_are_throttled_and_a_valid_token_is_not(server, client, tmp_path):
    path, headers = token_file(tmp_path)
    async with api_server(server, token_file=path) as api:
        answers = [(await api.get("/v1/tasks", headers={"Authorization": f"Bearer {n}"})) for n in range(12)]
        assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
        assert problem(answers[-1]) == (429, "rate_limited", "too_many_failures")
        assert 0 < int(answers[-1].headers["retry-after"]) <= 60
        assert (await api.get("/v1/tasks", headers=headers["read"])).status_code == 200


async def test_a_token_file_that_changes_is_read_again_and_a_broken_one_is_not(server, client, tmp_path, monkeypatch):
    monkeypatch.setattr(tokens, "LOOK_S", 0.0)
    path, headers = token_file(tmp_path)
    async with api_server(server, token_file=path) as api:
        path.write_text("broken")
        assert (await api.get("/v1/tasks", headers=headers["read"])).status_code == 200
        token, line = new_token("new", [Scope.READ])
        path.write_text(f"{line}\n")
        assert (await api.get("/v1/tasks", headers={"Authorization": f"Bearer {token}"})).status_code == 200
        assert (await api.get("/v1/tasks", headers=headers["read"])).status_code == 401


async def test_tokens_keep_their_idempotency_keys_apart(server, client, tmp_path):
    path, headers = token_file(tmp_path)
    async with api_server(server, token_file=path) as api:
        key = {"Idempotency-Key": "k"}
        first = await api.post("/v1/tasks", {"type": "t"}, headers=headers["write"] | key)
        second = await api.post("/v1/tasks", {"type": "t"}, headers=headers["admin"] | key)
        assert (first.status_code, second.status_code) == (201, 201)
        assert first.json()["id"] != second.json()["id"]


@pytest.mark.parametrize(
    ("text", "loopback"),
    [("127.0.0.1:0", True), ("127.9.9.9:1", True), ("[::1]:1", True), ("localhost:1", True), (":8080", False),
     ("0.0.0.0:8080", False), ("[::]:1", False), ("192.0.2.1:1", False), ("example.net:1", False)],
)  # fmt: skip
def test_a_bind_that_is_not_loopback_needs_a_guard(text, loopback):
    address = parse_address(text)
    assert address.is_loopback is loopback
    if loopback:
        ServerOptions(bind=address)
    else:
        with pytest.raises(ConfigurationError, match="--unsafe-bind"):
            ServerOptions(bind=address)
    guards = {"token_file": Path("t")}, {"unsafe_bind": True}, {
        "tls_cert": Path("c"), "tls_key": Path("k"), "tls_client_ca": Path("a"),
    }  # fmt: skip
    for guard in guards:
        ServerOptions(bind=address, **guard)


@pytest.mark.parametrize("text", ["", "8080", "localhost", "::1:80", "a:b", "a:70000", "a:-1"])
def test_an_invalid_address_is_refused(text):
    with pytest.raises(ConfigurationError, match="invalid address"):
        parse_address(text)


@pytest.mark.parametrize(
    "options",
    [{"tls_cert": Path("c")}, {"tls_key": Path("k")}, {"tls_client_ca": Path("a")}, {"max_body": 0},
     {"read_timeout": timedelta()}, {"write_timeout": timedelta(-1)}, {"max_connections": 0},
     {"max_streams": 0}, {"queue": "a b"}],
)  # fmt: skip
def test_impossible_options_are_refused(options):
    with pytest.raises(InvalidArgumentError):
        ServerOptions(**options)


@pytest.mark.parametrize(
    "line", ["ann", "ann read", "ann read sha256:00", "ann root sha256:" + "0" * 64, "ann read " + "0" * 64]
)
async def test_a_token_file_that_cannot_be_used_keeps_the_server_from_starting(server, tmp_path, line):
    path = tmp_path / "tokens"
    path.write_text(line)
    with pytest.raises(ConfigurationError) as caught:
        async with api_server(server, token_file=path):
            pass
    assert "00" not in str(caught.value).replace("sha256:", "")


async def test_a_token_file_that_is_not_there_keeps_the_server_from_starting(server, tmp_path):
    with pytest.raises(ConfigurationError, match="cannot read the token file"):
        async with api_server(server, token_file=tmp_path / "none"):
            pass


def certificates(folder: Path) -> tuple[trustme.CA, dict[str, Path]]:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    paths = {"tls_cert": folder / "cert.pem", "tls_key": folder / "key.pem"}
    issued.cert_chain_pems[0].write_to_path(paths["tls_cert"])
    issued.private_key_pem.write_to_path(paths["tls_key"])
    return authority, paths


async def test_tls_is_served(server, client, tmp_path):
    authority, paths = certificates(tmp_path)
    async with api_server(server, **paths) as api:
        assert api.server.url.startswith("https://")
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        async with http_client(api.server.url, trusting) as http:
            assert (await http.get("/v1/info")).json()["auth"] == "none"
        with pytest.raises(httpx.ConnectError):
            await api.get("/healthz")


async def test_with_an_authority_for_clients_a_certificate_is_needed(server, client, tmp_path):
    authority, paths = certificates(tmp_path)
    clients = trustme.CA()
    clients.cert_pem.write_to_path(tmp_path / "clients.pem")
    async with api_server(server, **paths, tls_client_ca=tmp_path / "clients.pem") as api:
        for issuer, works in ((clients, True), (trustme.CA(), False), (None, False)):
            context = ssl.create_default_context()
            authority.configure_trust(context)
            if issuer is not None:
                issuer.issue_cert("ann@example.net").configure_cert(context)
            async with http_client(api.server.url, context) as http:
                if works:
                    assert (await http.get("/v1/info")).json()["auth"] == "mtls"
                else:
                    with pytest.raises((httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError)):
                        await http.get("/healthz")


async def test_certificates_that_cannot_be_used_keep_the_server_from_starting(server, tmp_path):
    _, paths = certificates(tmp_path)
    (tmp_path / "bad.pem").write_text("no certificate")
    for wrong in ({"tls_cert": tmp_path / "bad.pem"}, {"tls_key": tmp_path / "none.pem"}):
        with pytest.raises(ConfigurationError, match="cannot load"):
            async with api_server(server, **(paths | wrong)):
                pass


# ---- the command


async def test_the_command_serves_until_it_is_stopped(server, client):
    arguments = ["server", "run", "--server", server.url, "--listen", "127.0.0.1:0", "--queue", "Q"]
    async with program("ajobs.admin.cli.main", *arguments) as process:
        line = await process.wait_log("server ready")
        url = line.split("server ready: ")[1].split(",")[0]
        async with http_client(url) as http:
            assert (await http.post("/v1/tasks", json={"type": "t"})).status_code == 201
            async with http.stream("GET", "/v1/events") as stream:
                lines = stream.aiter_lines()
                await anext(lines)
                process.signal(15)
                assert [line async for line in lines if line.startswith("data")] == []  # it ends in order
        assert await process.ended() == 0
    assert any("ajobs.access" in line and "status=201" in line for line in process.log)


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["--listen", "0.0.0.0:0"], 2, "is not a loopback address"),
        (["--listen", "nowhere"], 2, "invalid address"),
        (["--token-file", "/does/not/exist"], 2, "cannot read the token file"),
        (["--listen", "127.0.0.1:1", "--queue", "a b"], 2, "queue name"),
        (["--server", "nats://127.0.0.1:1"], 1, "cannot connect to NATS"),
    ],
)
async def test_the_command_prints_in_one_line_why_it_does_not_start(server, arguments, status, text):
    where = [] if "--server" in arguments else ["--server", server.url]
    bind = [] if "--listen" in arguments else ["--listen", "127.0.0.1:0"]
    async with program("ajobs.admin.cli.main", "server", "run", *arguments, *where, *bind) as process:
        assert await process.ended() == status
    assert text in process.log[-1]
    assert process.log[-1].startswith("ajc: ")


async def test_the_command_creates_a_token_that_the_server_accepts(server, client, tmp_path, capsys):
    assert run(["server", "token", "ann", "--scope", "read"]) == 0
    token, line = capsys.readouterr().out.splitlines()
    (tmp_path / "tokens").write_text(line)
    async with api_server(server, token_file=tmp_path / "tokens") as api:
        assert (await api.get("/v1/queues", headers={"Authorization": f"Bearer {token}"})).status_code == 200
    assert run(["server", "token", "a b", "--scope", "read"]) == 2
    assert run(["server", "token", "ann", "--scope", "root"]) == 2
