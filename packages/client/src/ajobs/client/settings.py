"""The keyword arguments of `Client.connect`: the fields of both kinds of options by name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

import msgspec

from ajobs.client.nats.addresses import ConnectOptions
from ajobs.client.nats.contexts import load_context
from ajobs.client.nats.environment import connect_options_from_environment
from ajobs.client.options import ClientOptions
from ajobs.protocol.durations import Duration
from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.queue import Queue


class Settings(TypedDict, total=False):
    """Every field of `ConnectOptions` but the servers, and of `ClientOptions`. See there what each means."""

    context: str | None
    user: str | None
    password: str | None
    token: str | None
    credentials_file: str | None
    nkey_seed_file: str | None
    tls_ca: str | None
    tls_cert: str | None
    tls_key: str | None
    tls_hostname: str | None
    tls_first: bool
    inbox_prefix: str | None
    js_domain: str | None
    js_api_prefix: str | None
    name: str
    connect_timeout: Duration
    ping_interval: Duration

    queue: Queue | str | None
    bind: bool
    no_storage_init: bool
    memory_storage: bool
    replicas: int
    task_retention: Duration
    prometheus_port: int | None
    signing_key: bytes | None
    signing_seed_file: str | Path | None
    verification_key: bytes | str | Sequence[bytes | str] | None
    verification_key_file: str | Path | Sequence[str | Path] | None
    signatures_optional: bool
    unsigned_schedules: Literal["refuse", "allow"] | None
    schedule_keys: Sequence[bytes | str]
    trace: bool
    request_timeout: Duration
    patience: Duration


_CONNECT_FIELDS = frozenset(ConnectOptions.__struct_fields__)
_CLIENT_FIELDS = frozenset(ClientOptions.__struct_fields__)


def split_settings(servers: str | Iterable[str] | None, settings: Settings) -> tuple[ConnectOptions, ClientOptions]:
    """Return both kinds of options, those for the connection on top of a context or the environment.

    Raises:
        ConfigurationError: A setting does not exist, or some contradict each other.
    """
    unknown = settings.keys() - _CONNECT_FIELDS - _CLIENT_FIELDS
    if unknown:
        known = ", ".join(sorted(_CONNECT_FIELDS | _CLIENT_FIELDS))
        msg = f"unknown setting {', '.join(sorted(unknown))}: use some of {known}"
        raise ConfigurationError(msg)
    connect: dict[str, Any] = {key: value for key, value in settings.items() if key in _CONNECT_FIELDS}
    if servers is not None:
        connect["servers"] = tuple(servers.split(",")) if isinstance(servers, str) else tuple(servers)
    context = settings.get("context")
    if context is not None:
        base = load_context(context)
    elif servers is not None:
        base = ConnectOptions()
    else:
        base = connect_options_from_environment(os.environ)
    client: dict[str, Any] = {key: value for key, value in settings.items() if key in _CLIENT_FIELDS}
    return msgspec.structs.replace(base, **connect), ClientOptions(**client)
