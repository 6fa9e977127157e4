"""Names that become parts of NATS subjects: task types, task ids, queues, schedules."""

from __future__ import annotations

import re

from ajobs.protocol.errors import InvalidNameError

NAME_PATTERN = "[a-zA-Z0-9_:-]+"
_is_name = re.compile(NAME_PATTERN).fullmatch


def is_valid_name(text: str) -> bool:
    """Tell whether ``text`` may be a task type, task id, queue or schedule name."""
    return _is_name(text) is not None


def check_name(kind: str, text: str) -> str:
    """Return ``text`` when it is a valid name.

    Args:
        kind: What the name is for, as the error shall call it: ``"task type"``, ``"queue name"``.
        text: The name.

    Raises:
        InvalidNameError: It is empty or has a character that may not be in a name.
    """
    if _is_name(text) is None:
        if not text:
            msg = f"a {kind} is required, got an empty text"
        else:
            msg = f"{kind} {text!r} is invalid: use letters, digits, '_', ':' and '-' only"
        raise InvalidNameError(msg)
    return text
