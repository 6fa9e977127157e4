"""The global options, and a client that is connected with them."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import msgspec

from ajobs.protocol.errors import ConfigurationError, InvalidKeyError

if TYPE_CHECKING:
    from ajobs.client.client import Client
    from ajobs.client.settings import Settings

DEFAULT_CONTEXT = "AJC"
"""The context that is used if it exists and nothing else is selected."""
PATIENCE_S = 10.0
"""Seconds to wait for a server that does not answer."""


class GlobalOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of every command. A seed is not part of its text."""

    context: str | None = None
    server: str | None = None
    sign: str | None = None
    """A seed in hex, or a file with it."""
    verify: str | None = None
    """A public key in hex, or a file with it."""
    debug: bool = False

    def __repr__(self) -> str:
        """Show the options that cannot hold a secret."""
        return f"GlobalOptions(context={self.context!r}, debug={self.debug})"


_options: ContextVar[GlobalOptions] = ContextVar("options", default=GlobalOptions())  # noqa: B039 - it is frozen


def use(options: GlobalOptions) -> None:
    """Set the global options."""
    _options.set(options)


def options() -> GlobalOptions:
    """Return the global options."""
    return _options.get()


def start_logging() -> None:
    """Log to standard error: warnings, or everything with ``--debug``."""
    from ajobs.runtime import logging as logs  # slow to import, and not needed for a help page

    logs.start_logging(level="debug" if options().debug else "warning")


def address() -> tuple[str | None, str | None]:
    """Return the server and the context to connect to; neither leaves the choice to the environment.

    A server overrides that of the context. Without both, and without a choice in the environment, the context AJC is
    used if it exists, as in Go.
    """
    from ajobs.client.nats.contexts import contexts_folder  # slow to import, and not needed for a help page
    from ajobs.client.nats.environment import CONTEXT_VARIABLES

    given = options()
    is_named = given.context is not None or given.server is not None
    if is_named or any(map(os.environ.get, ("NATS_URL", *CONTEXT_VARIABLES))):
        return given.server, given.context
    exists = (contexts_folder() / "context" / f"{DEFAULT_CONTEXT}.json").exists()
    return None, DEFAULT_CONTEXT if exists else None


def environment() -> dict[str, str]:
    """Return the variables that make a child process connect as this one does. They may hold a password."""
    server, context = address()
    found: dict[str, str] = {}
    if server is not None:
        found["NATS_URL" if context is None else "AJ_NATS_URL"] = server
    if context is not None:
        found["AJ_NATS_CONTEXT"] = context
    return found


def keys() -> Settings:
    """Return the settings for ``--sign`` and ``--verify``.

    Raises:
        InvalidKeyError: A value is neither a key nor a file with one. The text contains no part of it.
        ConfigurationError: A file cannot be read.
    """
    given = options()
    found: Settings = {}
    if given.sign:
        found["signing_key"] = _key("seed", "--sign", given.sign)
    if given.verify:
        found["verification_key"] = _key("public key", "--verify", given.verify)
    return found


def _key(kind: str, option: str, text: str) -> bytes:
    from ajobs.client.nats.credentials import warn_if_exposed  # slow to import, and not needed for a help page
    from ajobs.protocol.signing import parse_key

    if not _is_file(text):
        try:
            return parse_key(kind, text)
        except InvalidKeyError as e:
            raise InvalidKeyError(f"{option}: neither a file nor a key: {e}") from None
    if kind == "seed":
        warn_if_exposed(text, "seed file")
    try:
        return parse_key(kind, Path(text).read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError) as e:
        reason = e.strerror if isinstance(e, OSError) else "it is not text"
        raise ConfigurationError(f"{option}: cannot read the file {text}: {reason}") from None
    except InvalidKeyError as e:
        raise InvalidKeyError(f"{option}: the file {text}: {e}") from None


def _is_file(text: str) -> bool:
    """Return whether a text is the path of a file."""
    try:
        return Path(text).is_file()
    except OSError:  # a key can be longer than a file name
        return False


@asynccontextmanager
async def connect(*, create: bool = False, **settings: Unpack[Settings]) -> AsyncGenerator[Client]:
    """Connect a client with the global options while the block runs.

    Args:
        create: Create the stores and the client's queue if they are missing. Most commands must not change the streams
            of a server.
        settings: More settings for `Client.connect`.

    Raises:
        AjobsError: As `Client.connect` does.
    """
    from ajobs.client.client import Client  # slow to import, and not needed for a help page

    start_logging()
    server, context = address()
    wanted: Settings = {"name": "ajc", "patience": PATIENCE_S, "no_storage_init": not create, **keys(), **settings}
    if context is not None:
        wanted["context"] = context
    elif server is not None:
        # A server that is passed to connect() would discard the credentials in the environment.
        os.environ["NATS_URL"] = server
        server = None
    async with Client.connect(server, **wanted) as client:
        yield client


async def create_stores(client: Client, *, replicas: int = 1, memory: bool = False, retention_ns: int = 0) -> None:
    """Create missing stores, but no queue. Existing stores stay as they are.

    Raises:
        StorageError: The server refuses to create one.
    """
    await client.storage.create_stores(replicas=replicas, memory=memory, retention_ns=retention_ns)
