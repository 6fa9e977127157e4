"""What the server says of a user who may not publish or subscribe.

The server refuses with an error outside of any answer, so the request would wait until its timeout. Here
the error is parsed and kept, and the code that made the request gets it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from ajobs.protocol.errors import PermissionDeniedError

PUBLISH = "publish"
SUBSCRIBE = "subscribe"

_REFUSED = re.compile(r'permissions violation for (publish|subscription) to "([^"]*)"')
_MAKES = re.compile(r"\.(STREAM|CONSUMER)\.(CREATE|DURABLE)\.|\.STREAM\.UPDATE\.")


class Denial(NamedTuple):
    """One refusal: to publish or to subscribe, and the subject in lower case, as the NATS library hands it on."""

    action: str
    subject: str

    @classmethod
    def read(cls, error: BaseException) -> Denial | None:
        """Return what an error of the server refused, if it did."""
        found = _REFUSED.search(str(error).lower())
        return None if found is None else cls(PUBLISH if found[1] == PUBLISH else SUBSCRIBE, found[2])

    def concerns(self, action: str, subject: str) -> bool:
        """Return whether this denial is about an action on a subject."""
        return action == self.action and subject.lower() == self.subject


class Denials:
    """The denials on a connection so far, and the callbacks for further ones."""

    def __init__(self) -> None:
        """Start without denials."""
        self._seen: set[Denial] = set()
        self._callbacks: list[Callable[[Denial], None]] = []

    def add(self, denial: Denial) -> None:
        """Record a denial that the server sent, and call the callbacks."""
        if denial.action == SUBSCRIBE:  # those are few, while each task has a subject to publish to
            self._seen.add(denial)
        for callback in list(self._callbacks):
            callback(denial)

    def on_denied(self, callback: Callable[[Denial], None]) -> Callable[[], None]:
        """Call ``callback`` for each denial, until the returned function is called."""
        self._callbacks.append(callback)

        def forget() -> None:
            with suppress(ValueError):
                self._callbacks.remove(callback)

        return forget

    def require_subscribed(self, subject: str) -> None:
        """Make sure that a subscription that the server has answered for was not refused.

        Raises:
            PermissionDeniedError: It was.
        """
        if any(denial.concerns(SUBSCRIBE, subject) for denial in self._seen):
            raise denied(SUBSCRIBE, subject)


def denied(action: str, subject: str) -> PermissionDeniedError:
    """Return the error for what a user may not do."""
    doing = "publish" if action == PUBLISH else "subscribe"
    text = f"this NATS user may not {doing} to {subject}: add that to its permissions, or use another user"
    if action == PUBLISH and _MAKES.search(subject):
        text += ", or have a user who may make it beforehand: python -m ajobs.admin.provision"
    return PermissionDeniedError(text)


def deaf(inbox: str) -> PermissionDeniedError:
    """Return the error for a user who may not receive answers."""
    return PermissionDeniedError(
        f"this NATS user may not subscribe to {inbox}, where answers arrive: set inbox_prefix, or NATS_INBOX_PREFIX, "
        "to the prefix that its permissions name"
    )
