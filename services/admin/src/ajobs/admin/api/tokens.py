"""Bearer tokens: who may do what.

A file has one token a line: a name, scopes with commas between them, and the SHA-256 of the token. The token itself is
256 random bits that are shown once, when it is made; it cannot be guessed, so a fast hash is enough.
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
"""Seconds between two looks at whether the file was changed."""

_HASH = "sha256:"


class Scope(StrEnum):
    """What a token is for; each includes those before it."""

    READ = "read"
    """Look at everything."""
    WRITE = "write"
    """Enqueue, retry and delete tasks, and run schedules now."""
    ADMIN = "admin"
    """Change queues, schedules and the task store, and empty them."""


_ORDER = list(Scope)


class Token(msgspec.Struct, frozen=True):
    """A line of the file."""

    name: str
    scope: Scope
    """The highest one it has."""
    digest: str

    def allows(self, scope: Scope) -> bool:
        """Tell whether it is good for something that takes a scope."""
        return _ORDER.index(self.scope) >= _ORDER.index(scope)


def new_token(name: str, scopes: Iterable[Scope]) -> tuple[str, str]:
    """Return a new token and its line for the file.

    Raises:
        InvalidNameError: The name cannot be one.
        ConfigurationError: There is no scope.
    """
    wanted = sorted(set(scopes), key=_ORDER.index)
    if not wanted:
        raise ConfigurationError(f"token {name} has no scope: use {', '.join(Scope)}")
    token = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    return token, f"{check_name('token name', name)} {','.join(wanted)} {_HASH}{_digest(token)}"


def _digest(token: str) -> str:
    return sha256(token.encode(errors="surrogateescape")).hexdigest()


def parse_tokens(text: str, place: str) -> tuple[Token, ...]:
    """Return the tokens of a file's text; empty lines and those that begin with ``#`` are left out.

    Raises:
        ConfigurationError: A line is none. What it has is not part of the text, for it may be a token in the clear.
    """
    tokens: list[Token] = []
    for number, line in enumerate(text.splitlines(), 1):
        parts = line.split()
        if not parts or parts[0].startswith("#"):
            continue
        where = f"{place}, line {number}"
        if len(parts) != len(("name", "scopes", "hash")):
            raise ConfigurationError(f"{where}: it has to be a name, scopes and a hash, see ajc server token")
        name, scopes, digest = parts
        check_name(f"token name in {where}", name)
        unknown = set(scopes.split(",")) - set(Scope)
        if unknown:
            raise ConfigurationError(f"{where}: there are the scopes {', '.join(Scope)}, and no others")
        value = digest.removeprefix(_HASH)
        if value == digest or len(value) != sha256().digest_size * 2 or set(value) - set("0123456789abcdef"):
            raise ConfigurationError(f"{where}: the hash has to be {_HASH} and 64 hex digits, see ajc server token")
        if any(token.name == name for token in tokens):
            raise ConfigurationError(f"{where}: there is a token {name} already")
        tokens.append(Token(name, max(map(Scope, scopes.split(",")), key=_ORDER.index), value))
    if not tokens:
        raise ConfigurationError(f"{place} has no token: make one with ajc server token NAME --scope read")
    return tuple(tokens)


class TokenFile:
    """The tokens of a file, read again when it changes; one that is broken then leaves those that were."""

    def __init__(self, path: Path, logger: logging.Logger) -> None:
        """Read the file.

        Raises:
            ConfigurationError: It cannot be read, or used.
        """
        self._path = path
        self._logger = logger
        self._looked = time.monotonic()
        self._stamp = self._stat()
        self._tokens = self._read()

    def find(self, token: str) -> Token | None:
        """Return what a token is good for, if anything. It takes the same time whichever it is."""
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
            self._logger.error("tokens stay as they were: %s", e)
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
            reason = e.strerror if isinstance(e, OSError) else "it is not text"
            raise ConfigurationError(f"cannot read the token file {self._path}: {reason}") from e
        return parse_tokens(text, str(self._path))


class Failures:
    """Counts failed attempts by address, so that one who only tries is slowed down."""

    def __init__(self, limit: int = 10, window_s: float = 60.0, addresses: int = 10_000) -> None:
        """Allow ``limit`` failures a window of seconds, and remember that many addresses."""
        self._limit = limit
        self._window_s = window_s
        self._most = addresses
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def note(self, address: str) -> float | None:
        """Count a failure, and return the seconds to wait when there were too many."""
        now = time.monotonic()
        began, count = self._seen.pop(address, (now, 0))
        if now - began >= self._window_s:
            began, count = now, 0
        self._seen[address] = (began, count + 1)
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)
        return began + self._window_s - now if count >= self._limit else None
