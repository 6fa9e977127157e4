"""New ids: KSUIDs from this host's clock and randomness."""

from __future__ import annotations

import os
import random
import time

from asyncjobs.protocol.ids import PAYLOAD_BYTES, format_ksuid

# Two events for each task that a worker runs: asking the system for each one's bytes would take longer than the rest.
# Nobody has to be unable to guess the id of an event. A forked process must not make the same ids as its parent.
_random = random.Random()  # noqa: S311 - not for secrets
os.register_at_fork(after_in_child=_random.seed)


def new_id() -> str:
    """Return a new KSUID, for a task."""
    return format_ksuid(int(time.time()), os.urandom(PAYLOAD_BYTES))


def new_event_id() -> tuple[str, int]:
    """Return a new KSUID for an event, and the second that it was made in, as Unix time."""
    unix_s = int(time.time())
    return format_ksuid(unix_s, _random.randbytes(PAYLOAD_BYTES)), unix_s
