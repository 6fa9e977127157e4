"""Names that become parts of NATS subjects: task types, task ids, queues, schedules.

Every name that enters is checked, whether it comes from a caller or from a stored document. The limits keep every
subject of ajobs within 3,900 bytes, because a server closes a connection that sends a longer line.
"""

from __future__ import annotations

import re
from functools import lru_cache

from ajobs.protocol.errors import InvalidNameError

NAME_PATTERN = "[a-zA-Z0-9_:-]+"
MAX_NAME_LENGTH = 1_000
"""Characters of a name at most. The longest subject has two names, one of a queue and one of a task."""
MAX_QUEUE_LENGTH = 243
"""Characters of the name of a queue at most: its stream is named after it, and a server takes 255 characters."""

_is_name = re.compile(f"[a-zA-Z0-9_:-]{{1,{MAX_NAME_LENGTH}}}").fullmatch
# Choria Async Jobs does not check the names of queues, so documents can hold any that nats-server takes.
_is_stored_queue = re.compile(rf"[^\s\x00-\x1f\x7f-\x9f.*>/\\]{{0,{MAX_QUEUE_LENGTH}}}").fullmatch


def is_valid_name(text: str) -> bool:
    """Return whether ``text`` can be a task type, task id, queue or schedule name."""
    return _is_name(text) is not None


def check_name(kind: str, text: str) -> str:
    """Return ``text`` if it is a valid name.

    Args:
        kind: The use of the name, for the text of an error: ``"task type"``, ``"queue name"``.
        text: The name.

    Raises:
        InvalidNameError: It is empty or too long, or has a character that a name cannot have.
    """
    if _is_name(text) is None:
        if not text:
            msg = f"empty {kind}: use letters, digits, '_', ':' and '-'"
        elif len(text) > MAX_NAME_LENGTH:
            msg = f"invalid {kind} {text[:20]!r}... of {len(text):,} characters: use up to {MAX_NAME_LENGTH:,}"
        else:
            msg = f"invalid {kind} {text!r}: use letters, digits, '_', ':' and '-' only"
        raise InvalidNameError(msg)
    return text


def check_stored_names(task_id: str, task_type: str, queue: str) -> None:
    """Check the three names of a stored task. Most IDs are KSUIDs, and most types and queues were seen before.

    Raises:
        InvalidNameError: One of them is not valid.
    """
    if not (task_id.isalnum() and task_id.isascii() and len(task_id) <= MAX_NAME_LENGTH):
        check_name("task id", task_id)
    _check_type_and_queue(task_type, queue)


# Errors are not cached, so what is kept is short.
@lru_cache(maxsize=1024)
def _check_type_and_queue(task_type: str, queue: str) -> None:
    check_name("task type", task_type)
    check_stored_queue(queue)


def check_stored_queue(text: str) -> str:
    """Return the name of a queue in a stored document if it can be part of a subject; it may be empty.

    Raises:
        InvalidNameError: It is too long, or has a character that would end or split a subject.
    """
    if _is_stored_queue(text) is None:
        raise InvalidNameError(f"invalid queue name {text[:40]!r} of {len(text):,} characters")
    return text
