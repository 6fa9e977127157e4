"""Contexts of the nats command line, and environment variables."""

from __future__ import annotations

import json

import pytest

from ajobs.client.nats.addresses import ConnectOptions
from ajobs.client.nats.contexts import load_context
from ajobs.client.nats.environment import connect_options_from_environment
from ajobs.protocol.errors import ConfigurationError


@pytest.fixture
def environ(tmp_path):
    (tmp_path / "nats" / "context").mkdir(parents=True)
    return {"XDG_CONFIG_HOME": str(tmp_path)}


@pytest.fixture
def write(tmp_path):
    def write(name, context):
        text = context if isinstance(context, str) else json.dumps(context)
        (tmp_path / "nats" / "context" / f"{name}.json").write_text(text)

    return write


def select(tmp_path, name):
    (tmp_path / "nats" / "context.txt").write_text(name + "\n")


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({}, {}),
        ({"url": "nats://a,nats://b"}, {"servers": ("nats://a,nats://b",)}),
        ({"user": "u", "password": "p"}, {"user": "u", "password": "p"}),
        ({"token": "t", "description": "ignored", "color_scheme": "x"}, {"token": "t"}),
        ({"creds": "/c", "ca": "/ca"}, {"credentials_file": "/c", "tls_ca": "/ca"}),
        ({"nkey": "/n", "tls_first": True}, {"nkey_seed_file": "/n", "tls_first": True}),
        ({"cert": "/c", "key": "/k"}, {"tls_cert": "/c", "tls_key": "/k"}),
        ({"jetstream_domain": "hub", "inbox_prefix": "_I"}, {"js_domain": "hub", "inbox_prefix": "_I"}),
        ({"jetstream_api_prefix": "P"}, {"js_api_prefix": "P"}),
    ],
    ids=str,
)
def test_a_context_holds_the_settings_of_a_connection(environ, write, context, expected):
    write("C", context)
    assert load_context("C", environ) == ConnectOptions(context="C", **expected)


def test_a_path_in_a_context_may_begin_with_the_home_folder(environ, write, monkeypatch):
    monkeypatch.setenv("HOME", "/home/joe")
    write("C", {"creds": "~/me.creds"})
    assert load_context("C", environ).credentials_file == "/home/joe/me.creds"


def test_a_context_may_be_a_file_anywhere(tmp_path):
    file = tmp_path / "mine.json"
    file.write_text('{"url":"nats://x"}')
    assert load_context(str(file)).servers == ("nats://x",)
    with pytest.raises(ConfigurationError, match="No such file"):
        load_context(str(tmp_path / "missing.json"))


@pytest.mark.parametrize("name", ["missing", "../nats/context/there", "", "."])
def test_the_error_for_an_unknown_context_lists_the_existing_ones(environ, write, name):
    write("there", {})
    with pytest.raises(ConfigurationError, match="there are there"):
        load_context(name, environ)


def test_without_any_context_the_error_explains_how_to_create_one(environ):
    with pytest.raises(ConfigurationError, match="nats context add"):
        load_context("C", environ)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"url": 3}'])
def test_a_context_that_is_not_usable_is_named(environ, write, text):
    write("C", text)
    with pytest.raises(ConfigurationError, match=r"C\.json"):
        load_context("C", environ)


@pytest.mark.parametrize("field", ["nsc", "socks_proxy", "windows_cert_store", "user_jwt"])
def test_unsupported_settings_of_a_context_are_refused(environ, write, field):
    write("C", {field: "x"})
    with pytest.raises(ConfigurationError, match=field):
        load_context("C", environ)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, {}),
        ({"NATS_URL": "nats://a,nats://b"}, {"servers": ("nats://a,nats://b",)}),
        ({"NATS_USER": "u", "NATS_PASSWORD": "p"}, {"user": "u", "password": "p"}),
        ({"NATS_TOKEN": "t", "NATS_INBOX_PREFIX": "_I"}, {"token": "t", "inbox_prefix": "_I"}),
        ({"NATS_CREDS": "c", "NATS_CA": "a"}, {"credentials_file": "c", "tls_ca": "a"}),
        ({"NATS_NKEY": "n", "NATS_CERT": "c", "NATS_KEY": "k"}, {"nkey_seed_file": "n", "tls_cert": "c", "tls_key": "k"}),  # noqa: E501
        ({"NATS_TLS_FIRST": "Yes"}, {"tls_first": True}),
        ({"NATS_TLS_FIRST": "0"}, {"tls_first": False}),
        ({"NATS_JS_DOMAIN": "d"}, {"js_domain": "d"}),
        ({"NATS_JS_API_PREFIX": "p", "NATS_USER": ""}, {"js_api_prefix": "p"}),
    ],
    ids=str,
)  # fmt: skip
def test_variables_hold_the_settings_of_a_connection(environ, variables, expected):
    assert connect_options_from_environment(environ | variables) == ConnectOptions(**expected)


@pytest.mark.parametrize("variable", ["AJ_NATS_CONTEXT", "NATS_CONTEXT", "CONTEXT"])
def test_a_variable_selects_a_context_and_other_variables_override_it(environ, write, variable):
    write("C", {"url": "nats://c", "user": "u", "password": "p"})
    options = connect_options_from_environment(environ | {variable: "C", "NATS_PASSWORD": "mine"})
    assert (options.servers, options.user, options.password) == (("nats://c",), "u", "mine")


def test_the_selected_context_is_used_unless_settings_override_it(environ, write, tmp_path):
    write("C", {"url": "nats://c"})
    write("D", {"url": "nats://d"})
    select(tmp_path, "C")
    assert connect_options_from_environment(environ).servers == ("nats://c",)
    assert connect_options_from_environment(environ | {"CONTEXT": "D"}).servers == ("nats://d",)
    assert connect_options_from_environment(environ | {"NATS_URL": "nats://x"}) == ConnectOptions(servers=("nats://x",))


def test_the_error_for_an_invalid_boolean_names_its_variable(environ):
    with pytest.raises(ConfigurationError, match="NATS_TLS_FIRST"):
        connect_options_from_environment(environ | {"NATS_TLS_FIRST": "perhaps"})


@pytest.mark.parametrize(
    ("servers", "urls"),
    [
        ((), ("nats://127.0.0.1:4222",)),
        (("a", "b:1"), ("nats://a", "nats://b:1")),
        ((" nats://a , tls://b:2,", "c"), ("nats://a", "tls://b:2", "nats://c")),
        (("nats://joe:sesame@a:1/",), ("nats://joe:sesame@a:1/",)),
    ],
    ids=str,
)
def test_servers_may_be_named_in_several_ways(servers, urls):
    assert ConnectOptions(servers=servers).urls == urls


@pytest.mark.parametrize(
    "server",
    ["", " , ", "http://a", "ws://a", "nats://", "nats://:1", "nats://a:x", "nats://a:0", "nats://a:99999", "nats://[::1",
     "nats://joe:ses/ame@a", "nats://joe:ses?ame@a", "nats://joe:ses#ame@a", "nats://joe:ses ame@a", "nats://a/path"],
)  # fmt: skip
def test_an_invalid_server_is_refused_without_showing_its_password(server):
    with pytest.raises(ConfigurationError, match=r"servers is empty|use one of these|nats://HOST:PORT") as caught:
        ConnectOptions(servers=(server,))
    assert "ses" not in str(caught.value)


def test_the_text_of_options_has_no_secrets():
    options = ConnectOptions(servers=("nats://joe:sesame@a:1",), password="sesame")
    assert "sesame" not in repr(options)
    assert "nats://a:1" in repr(options)


def test_a_home_folder_that_does_not_exist_is_an_error_of_the_context(environ, write):
    write("C", {"creds": "~{x/me.creds"})
    with pytest.raises(ConfigurationError, match=r"cannot expand the path '~\{x/me\.creds'"):
        load_context("C", environ)
