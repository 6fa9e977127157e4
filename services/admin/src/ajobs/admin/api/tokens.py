"""Bearer tokens and their scopes.

A token file has one token per line: a name, comma-separated scopes, and the SHA-256 of the token. The token itself has
256 random bits and is shown once, when it is created. It cannot be guessed, so a fast hash is enough.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

import msgspec

from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.names import check_name

PREFIX = "ajt_"
TOKEN_BYTES = 32
LOOK_S = 1.0
"""Seconds between two checks whether the file has changed."""

_HASH = "sha256:"


class Scope(StrEnum):
    """What a token allows. Each scope includes those before it."""

    READ = "read"
    """Read everything."""
    WRITE = "write"
    """Enqueue, retry and delete tasks, and run schedules now."""
    ADMIN = "admin"
    """Create, change, purge and delete queues and schedules, and change the task store."""


_ORDER = list(Scope)


class Token(msgspec.Struct, frozen=True):
    """One line of a token file."""

    name: str
    scope: Scope
    """The highest of its scopes."""
    digest: str

    def allows(self, scope: Scope) -> bool:
        """Return whether the token includes a scope."""
        return _ORDER.index(self.scope) >= _ORDER.index(scope)


def new_token(name: str, scopes: Iterable[Scope]) -> tuple[str, str]:
    """Return a new token, and its line for the token file.

    Raises:
        InvalidNameError: The name is not valid.
        ConfigurationError: No scope was given.
    """
    wanted = sorted(set(scopes), key=_ORDER.index)
    if not wanted:
        raise ConfigurationError(f"token {name} has no scope: choose from {', '.join(Scope)}")
    token = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    return token, f"{check_name('token name', name)} {','.join(wanted)} {_HASH}{_digest(token)}"


def _digest(token: str) -> str:
    return sha256(token.encode(errors="surrogateescape")).hexdigest()


def parse_tokens(text: str, place: str) -> tuple[Token, ...]:
    """Parse a token file. Empty lines, and lines that begin with ``#``, are ignored.

    Raises:
        ConfigurationError: A line is not valid. The message never quotes the line, because it may hold a plain token.
    """
    tokens: list[Token] = []
    for number, line in enumerate(text.splitlines(), 1):
        parts = line.split()
        if not parts or parts[0].startswith("#"):
            continue
        where = f"{place}, line {number}"
        if len(parts) != len(("name", "scopes", "hash")):
            raise ConfigurationError(f"{where}: not a name, scopes and a hash: create lines with `ajc server token`")
        name, scopes, digest = parts
        check_name(f"token name in {where}", name)
        unknown = set(scopes.split(",")) - set(Scope)
        if unknown:
            raise ConfigurationError(f"{where}: unknown scope: choose from {', '.join(Scope)}")
        value = digest.removeprefix(_HASH)
        if value == digest or len(value) != sha256().digest_size * 2 or set(value) - set("0123456789abcdef"):
            raise ConfigurationError(f"{where}: the hash is not {_HASH} and 64 hex digits: use `ajc server token`")
        if any(token.name == name for token in tokens):
            raise ConfigurationError(f"{where}: token {name} is already defined: use another name")
        tokens.append(Token(name, max(map(Scope, scopes.split(",")), key=_ORDER.index), value))
    if not tokens:
        raise ConfigurationError(f"{place} has no tokens: create one with `ajc server token NAME --scope read`")
    return tuple(tokens)


class TokenFile:
    """The tokens of a file, which is read again when it changes. An invalid file leaves the tokens unchanged."""

    def __init__(self, path: Path, logger: logging.Logger) -> None:
        """Read the file.

        Raises:
            ConfigurationError: The file cannot be read, or is not valid.
        """
        self._path = path
        self._logger = logger
        self._looked = time.monotonic()
        self._stamp = self._stat()
        self._tokens = self._read()

    def find(self, token: str) -> Token | None:
        """Return the entry of a token, or ``None``. The comparison takes constant time."""
        self._look()
        digest = _digest(token)
        found: Token | None = None
        for known in self._tokens:
            if hmac.compare_digest(known.digest, digest):
                found = known
        return found

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        try:
            stamp = self._stat()
            if stamp == self._stamp:
                return
            self._stamp = stamp
            self._tokens = self._read()
        except ConfigurationError as e:
            self._logger.error("token file not reloaded, the previous tokens stay valid: %s", e)
        else:
            self._logger.info("read %d tokens from %s", len(self._tokens), self._path)

    def _stat(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except OSError as e:
            raise ConfigurationError(f"cannot read the token file {self._path}: {e.strerror}") from e
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> tuple[Token, ...]:
        try:
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as e:
            reason = e.strerror if isinstance(e, OSError) else "not UTF-8 text"
            raise ConfigurationError(f"cannot read the token file {self._path}: {reason}") from e
        return parse_tokens(text, str(self._path))


class Failures:
    """Counts failed authentications by address, to slow down attackers."""

    def __init__(self, limit: int = 10, window_s: float = 60.0, addresses: int = 10_000) -> None:
        """Allow ``limit`` failures per window, and remember the last ``addresses`` addresses."""
        self._limit = limit
        self._window_s = window_s
        self._most = addresses
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def note(self, address: str) -> float | None:
        """Count a failure. Return the seconds to wait if there were too many."""
        now = time.monotonic()
        began, count = self._seen.pop(address, (now, 0))
        if now - began >= self._window_s:
            began, count = now, 0
        self._seen[address] = (began, count + 1)
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)
        return began + self._window_s - now if count >= self._limit else None
