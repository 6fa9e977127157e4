"""New ids: KSUIDs from this host's clock and randomness."""

from __future__ import annotations

import os
import time

from asyncjobs.protocol.ids import PAYLOAD_BYTES, format_ksuid


def new_id() -> str:
    """Return a new KSUID, for a task."""
    return format_ksuid(int(time.time()), os.urandom(PAYLOAD_BYTES))


def new_event_id() -> tuple[str, int]:
    """Return a new KSUID for an event, and the second that it was made in, as Unix time."""
    unix_s = int(time.time())
    return format_ksuid(unix_s, os.urandom(PAYLOAD_BYTES)), unix_s
