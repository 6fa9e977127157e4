"""What all commands share: the global options, and a client that is connected as they say."""

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
"""The context that is used when nothing else is said and there is one."""
PATIENCE_S = 10.0
"""Seconds for which a person waits for a server that does not answer."""


class GlobalOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options that hold for every command. A seed is not part of its text."""

    context: str | None = None
    server: str | None = None
    sign: str | None = None
    """A seed as hex, or a file of it."""
    verify: str | None = None
    """A public key as hex, or a file of it."""
    debug: bool = False

    def __repr__(self) -> str:
        """Show what cannot hold a secret."""
        return f"GlobalOptions(context={self.context!r}, debug={self.debug})"


_options: ContextVar[GlobalOptions] = ContextVar("options", default=GlobalOptions())  # noqa: B039 - it is frozen


def use(options: GlobalOptions) -> None:
    """Have these global options hold from now on."""
    _options.set(options)


def options() -> GlobalOptions:
    """Return the global options."""
    return _options.get()


def start_logging() -> None:
    """Log to the error output: warnings, or everything with ``--debug``."""
    from ajobs.runtime import logging as logs  # with the client, which takes time that a help page need not

    logs.start_logging(level="debug" if options().debug else "warning")


def address() -> tuple[str | None, str | None]:
    """Return the server and the context to connect to; neither for what the environment says.

    What is named is used, with a server in the place of the context's own. With neither, the context AJC is, as in the
    original, if there is one and the environment names no other.
    """
    from ajobs.client.nats.contexts import contexts_folder  # likewise
    from ajobs.client.nats.environment import CONTEXT_VARIABLES

    given = options()
    is_named = given.context is not None or given.server is not None
    if is_named or any(map(os.environ.get, ("NATS_URL", *CONTEXT_VARIABLES))):
        return given.server, given.context
    exists = (contexts_folder() / "context" / f"{DEFAULT_CONTEXT}.json").exists()
    return None, DEFAULT_CONTEXT if exists else None


def environment() -> dict[str, str]:
    """Return variables with which a process of ours connects as this one does. They may hold a password."""
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
        InvalidKeyError: One is neither a key nor a file of one. Nothing of it is in the text.
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
    from ajobs.client.nats.credentials import warn_if_exposed  # likewise
    from ajobs.protocol.signing import parse_key

    if not _is_file(text):
        try:
            return parse_key(kind, text)
        except InvalidKeyError as e:
            raise InvalidKeyError(f"{option}: there is no such file, and {e}") from None
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
    """Tell a file from a key."""
    try:
        return Path(text).is_file()
    except OSError:  # a key may be too long for a name
        return False


@asynccontextmanager
async def connect(*, make: bool = False, **settings: Unpack[Settings]) -> AsyncGenerator[Client]:
    """Connect a client as the global options say, for as long as the block runs.

    Args:
        make: Make the stores and the client's queue if they are missing. Without it nothing is made: only the commands
            that are meant to change a server's streams do.
        settings: More settings of `Client.connect`.

    Raises:
        AjobsError: As `Client.connect` does.
    """
    from ajobs.client.client import Client  # likewise

    start_logging()
    server, context = address()
    wanted: Settings = {"name": "ajc", "patience": PATIENCE_S, "no_storage_init": not make, **keys(), **settings}
    if context is not None:
        wanted["context"] = context
    elif server is not None:
        # On top of what the environment says about credentials, which a server that is handed in would set aside.
        os.environ["NATS_URL"] = server
        server = None
    async with Client.connect(server, **wanted) as client:
        yield client


async def make_stores(client: Client, *, replicas: int = 1, memory: bool = False, retention_ns: int = 0) -> None:
    """Make the stores that are missing, and no queue. Those that exist stay as they are.

    Raises:
        StorageError: The server refuses to make one.
    """
    from ajobs.client.storage.provision import ensure_buckets, ensure_tasks_stream  # with the client, likewise

    jetstream = client.storage.jetstream
    await ensure_tasks_stream(jetstream, replicas=replicas, memory=memory, retention_ns=retention_ns)
    await ensure_buckets(jetstream, replicas=replicas, memory=memory)
