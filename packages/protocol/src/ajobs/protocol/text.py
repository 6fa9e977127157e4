"""Foreign text, such as task types, error texts and the output of commands, made safe to show.

Control characters could forge lines of a log or reprogram a terminal, and marks of text direction could make a line
read as another one. They are escaped where text leaves, in logs and on terminals, never in documents.
"""

from __future__ import annotations

_LAST_OF_BMP = 0xFFFF


def printable(text: str) -> str:
    """Return a text as one line: line breaks and tabs become spaces, other characters that do not print are escaped."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _visible(char) for char in text)


def _visible(char: str) -> str:
    return " " if char in "\n\t" else char.encode("unicode_escape").decode()


def printable_json(encoded: str) -> str:
    r"""Return a JSON text with the same value, in which characters that do not print are written as ``\uXXXX``.

    Args:
        encoded: One line of JSON. Characters outside its strings all print.
    """
    if encoded.isprintable():
        return encoded
    return "".join(char if char.isprintable() else _escaped(char) for char in encoded)


def _escaped(char: str) -> str:
    code = ord(char)
    if code <= _LAST_OF_BMP:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
