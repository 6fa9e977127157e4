"""Credentials: files that are checked before connecting, so that errors name the file."""

from __future__ import annotations

import logging
import os
import ssl
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nkeys

from ajobs.protocol.errors import ConfigurationError

if TYPE_CHECKING:
    from ajobs.client.nats.addresses import ConnectOptions

logger = logging.getLogger("ajobs.client")

MOUNTED = Path("/run/secrets")
"""Where container engines mount secrets."""

_MARKERS = (b"BEGIN NATS USER JWT", b"END NATS USER JWT", b"BEGIN USER NKEY SEED", b"END USER NKEY SEED")


def credentials(options: ConnectOptions) -> dict[str, Any]:
    """Return the credentials as arguments of the NATS library.

    Raises:
        ConfigurationError: A file cannot be read, or is not what it should be.
    """
    given = {
        **_login(options),
        "user_credentials": _credentials_file(options.credentials_file),
        "nkeys_seed": _nkey_file(options.nkey_seed_file),
        "tls": _tls_context(options),
        "tls_hostname": options.tls_hostname,
        "tls_handshake_first": options.tls_first or None,
        "inbox_prefix": options.inbox_prefix,
    }
    return {key: value for key, value in given.items() if value is not None}


def _login(options: ConnectOptions) -> dict[str, str | None]:
    login = options.login
    if login is None or options.user or options.token or options.credentials_file or options.nkey_seed_file:
        return {"user": options.user, "password": options.password, "token": options.token}
    # The library would send what the URL says without decoding it, and nothing to servers that it discovers.
    if login.password is None:
        return {"token": login.user}
    return {"user": login.user, "password": login.password}


def _credentials_file(path: str | None) -> str | None:
    if path is None:
        return None
    content = _read(path, "credentials file")
    # The library would search for them without limit.
    if not all(marker in content for marker in _MARKERS):
        raise ConfigurationError(
            f"the credentials file {path} has no user JWT and seed: make one with 'nsc generate creds'"
        )
    return path


def _nkey_file(path: str | None) -> str | None:
    if path is None:
        return None
    seed = bytearray(_read(path, "NKey seed file").strip())
    try:
        nkeys.from_seed(seed).wipe()  # pyright: ignore[reportUnknownMemberType] - it has no types
    except (nkeys.NkeysError, ValueError, TypeError):
        raise ConfigurationError(f"the NKey seed file {path} holds no seed, which would begin with SU") from None
    return path


def warn_if_exposed(path: str | Path, kind: str) -> None:
    """Log a warning when others on this host may read a file with a secret."""
    if is_exposed(path):
        logger.warning("others may read the %s %s: chmod 600 it", kind, path)


def is_exposed(path: str | Path) -> bool:
    """Return whether other users of this host may read a file. Always false where files have no modes."""
    if os.name != "posix":
        return False
    # A pipe has a mode but no real path, so the path is resolved only for a file whose mode is open.
    if not Path(path).stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return False
    place = Path(path).resolve()
    if place.is_relative_to(MOUNTED):
        return False  # a container has no other users
    # A closed folder keeps others from every file below it.
    return all(folder.stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH) for folder in place.parents)


def _read(path: str, kind: str) -> bytes:
    try:
        content = Path(path).read_bytes()
        warn_if_exposed(path, kind)
    except OSError as e:
        raise ConfigurationError(f"cannot read the {kind} {path}: {e.strerror}") from e
    return content


def _tls_context(options: ConnectOptions) -> ssl.SSLContext | None:
    wanted = options.tls_ca or options.tls_cert or options.tls_first
    if not wanted and not any(url.startswith("tls://") for url in options.urls):
        return None
    try:
        context = ssl.create_default_context(cafile=options.tls_ca)
        if options.tls_cert is not None:
            context.load_cert_chain(options.tls_cert, options.tls_key)
    except (OSError, ssl.SSLError) as e:
        files = ", ".join(filter(None, (options.tls_ca, options.tls_cert, options.tls_key)))
        msg = f"cannot use the TLS files {files}: {e}"
        raise ConfigurationError(msg) from e
    return context
