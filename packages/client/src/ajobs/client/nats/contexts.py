"""Contexts of the ``nats`` command line: files that say how to reach a server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ajobs.client.nats.addresses import ConnectOptions
from ajobs.protocol.errors import ConfigurationError


class _Context(msgspec.Struct, kw_only=True):
    """A context file's fields, as far as they matter for connecting."""

    url: str = ""
    token: str = ""
    user: str = ""
    password: str = ""
    creds: str = ""
    nkey: str = ""
    cert: str = ""
    key: str = ""
    ca: str = ""
    tls_first: bool = False
    inbox_prefix: str = ""
    jetstream_domain: str = ""
    jetstream_api_prefix: str = ""
    nsc: str = ""
    user_jwt: str = ""
    socks_proxy: str = ""
    windows_cert_store: str = ""


_NOT_SUPPORTED = ("nsc", "user_jwt", "socks_proxy", "windows_cert_store")


def contexts_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of the ``nats`` command line's settings."""
    base = environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "nats"


def selected_context(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the name of the context that ``nats context select`` chose, if any."""
    try:
        return (contexts_folder(environ) / "context.txt").read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def load_context(name: str, environ: Mapping[str, str] = os.environ) -> ConnectOptions:
    """Read a context by its name, or a file of one by its absolute path.

    Raises:
        ConfigurationError: It does not exist, cannot be read, or wants something that is not supported.
    """
    path = _find(name, environ)
    try:
        context = msgspec.json.decode(path.read_bytes(), type=_Context)
    except OSError as e:
        msg = f"cannot read the NATS context {path}: {e.strerror}"
        raise ConfigurationError(msg) from e
    except (msgspec.MsgspecError, ValueError) as e:
        msg = f"the NATS context {path} is not usable: {e}"
        raise ConfigurationError(msg) from e
    unsupported = [field for field in _NOT_SUPPORTED if getattr(context, field)]
    if unsupported:
        msg = (
            f"the NATS context {path} uses {', '.join(unsupported)}: use creds, nkey, user, token or TLS files instead"
        )
        raise ConfigurationError(msg)
    return ConnectOptions(
        servers=(context.url,) if context.url else (),
        context=name,
        user=context.user or None,
        password=context.password or None,
        token=context.token or None,
        credentials_file=_expand(context.creds),
        nkey_seed_file=_expand(context.nkey),
        tls_cert=_expand(context.cert),
        tls_key=_expand(context.key),
        tls_ca=_expand(context.ca),
        tls_first=context.tls_first,
        inbox_prefix=context.inbox_prefix or None,
        js_domain=context.jetstream_domain or None,
        js_api_prefix=context.jetstream_api_prefix or None,
    )


def _find(name: str, environ: Mapping[str, str]) -> Path:
    if Path(name).is_absolute():
        return Path(name)
    folder = contexts_folder(environ) / "context"
    known = sorted(path.stem for path in folder.glob("*.json"))
    # Looked up by name instead of joined into a path: a name can never lead out of the folder.
    if name not in known:
        there = f"there are {', '.join(known)}" if known else "no context exists"
        msg = f"unknown NATS context {name!r}: {there} in {folder}; make one with 'nats context add'"
        raise ConfigurationError(msg)
    return folder / f"{name}.json"


def _expand(path: str) -> str | None:
    try:
        return os.path.expandvars(Path(path).expanduser()) if path else None
    except RuntimeError as e:  # "~name" of a user that does not exist
        raise ConfigurationError(f"cannot expand the path {path!r} of the NATS context: {e}") from None
