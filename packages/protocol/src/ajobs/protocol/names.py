"""Names that become parts of NATS subjects: task types, task ids, queues, schedules."""

from __future__ import annotations

import re

from ajobs.protocol.errors import InvalidNameError

NAME_PATTERN = "[a-zA-Z0-9_:-]+"
_is_name = re.compile(NAME_PATTERN).fullmatch


def is_valid_name(text: str) -> bool:
    """Tell whether ``text`` can be a task type, task id, queue or schedule name."""
    return _is_name(text) is not None


def check_name(kind: str, text: str) -> str:
    """Return ``text`` if it is a valid name.

    Args:
        kind: The use of the name, for the text of an error: ``"task type"``, ``"queue name"``.
        text: The name.

    Raises:
        InvalidNameError: It is empty, or has a character that a name cannot have.
    """
    if _is_name(text) is None:
        if not text:
            msg = f"empty {kind}: use letters, digits, '_', ':' and '-'"
        else:
            msg = f"invalid {kind} {text!r}: use letters, digits, '_', ':' and '-' only"
        raise InvalidNameError(msg)
    return text
