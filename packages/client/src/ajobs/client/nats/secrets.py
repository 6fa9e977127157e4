"""Texts and bytes that no encoder, pickle or ``repr`` writes out by accident. Otherwise they are like any other."""

from __future__ import annotations

from typing import NoReturn


class Secret(str):
    """A secret text. msgspec does not encode subclasses of ``str``."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Show that it is set, and nothing of it."""
        return "'***'"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied.

        Raises:
            TypeError: Always.
        """
        raise TypeError("a secret cannot be pickled: read it again where it is needed")


class SecretBytes(bytes):
    """Secret bytes. msgspec does not encode subclasses of ``bytes``."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Show that it is set, and nothing of it."""
        return "b'***'"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied. Raises ``TypeError``."""
        raise TypeError("a secret cannot be pickled: read it again where it is needed")


def secret(text: str | None) -> Secret | None:
    """Return a text as a secret."""
    return None if text is None else Secret(text)


def secret_bytes(data: bytes | None) -> SecretBytes | None:
    """Return bytes as a secret."""
    return None if data is None else SecretBytes(data)
