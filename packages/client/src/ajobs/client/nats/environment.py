"""Connection options from environment variables, the names being those of the ``nats`` command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ajobs.client.nats.addresses import ConnectOptions
from ajobs.client.nats.contexts import load_context, selected_context
from ajobs.protocol.errors import ConfigurationError

CONTEXT_VARIABLES = ("AJ_NATS_CONTEXT", "NATS_CONTEXT", "CONTEXT")

_TEXTS = {
    "NATS_USER": "user",
    "NATS_PASSWORD": "password",
    "NATS_TOKEN": "token",
    "NATS_CREDS": "credentials_file",
    "NATS_NKEY": "nkey_seed_file",
    "NATS_CA": "tls_ca",
    "NATS_CERT": "tls_cert",
    "NATS_KEY": "tls_key",
    "NATS_INBOX_PREFIX": "inbox_prefix",
    "NATS_JS_DOMAIN": "js_domain",
    "NATS_JS_API_PREFIX": "js_api_prefix",
}
_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def connect_options_from_environment(environ: Mapping[str, str]) -> ConnectOptions:
    """Return what the variables say, on top of the context that they name.

    Without a named context and without ``NATS_URL``, the selected context of the ``nats`` command line is used when
    there is one.

    Raises:
        ConfigurationError: A variable or the context cannot be used.
    """
    values: dict[str, Any] = {field: environ[name] for name, field in _TEXTS.items() if environ.get(name)}
    url = environ.get("NATS_URL")
    if url:
        values["servers"] = (url,)
    tls_first = environ.get("NATS_TLS_FIRST")
    if tls_first:
        values["tls_first"] = _boolean("NATS_TLS_FIRST", tls_first)
    name = next((environ[variable] for variable in CONTEXT_VARIABLES if environ.get(variable)), None)
    if name is None and not url:
        name = selected_context(environ)
    base = ConnectOptions() if name is None else load_context(name, environ)
    return msgspec.structs.replace(base, **values)


def _boolean(name: str, text: str) -> bool:
    value = _BOOLEANS.get(text.strip().lower())
    if value is None:
        msg = f"{name} is {text!r}: use true or false"
        raise ConfigurationError(msg)
    return value
