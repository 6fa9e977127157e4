"""New ids: KSUIDs from this host's clock and randomness."""

from __future__ import annotations

import os
import random
import time

from asyncjobs.protocol.ids import PAYLOAD_BYTES, TAILS, format_ksuid, ksuid_head, ksuid_tail


def new_id() -> str:
    """Return a new KSUID, for a task."""
    return format_ksuid(int(time.time()), os.urandom(PAYLOAD_BYTES))


class _EventIds:
    """Ids of events: a head that is random and new each second, and a number that counts on from a random one.

    There are two events for each task that a worker runs, so this takes a quarter of the time of a wholly random id.
    Nobody has to be unable to guess one.
    """

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begin with other randomness: a forked process must not make the ids of its parent."""
        self._unix_s = 0
        self._head = ""
        self._number = random.SystemRandom().randrange(TAILS)

    def next(self) -> tuple[str, int]:
        unix_s = int(time.time())
        if unix_s != self._unix_s:
            self._unix_s, self._head = unix_s, ksuid_head(unix_s, os.urandom(PAYLOAD_BYTES))
        self._number += 1
        return self._head + ksuid_tail(self._number), unix_s


_events = _EventIds()
os.register_at_fork(after_in_child=_events.renew)

new_event_id = _events.next
"""Return a new KSUID for an event, and the second that it was made in, as Unix time."""
