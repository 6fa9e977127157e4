"""The wall clock, and its jumps.

Ticks are times of the wall clock, which an operator, NTP or a suspended machine can set:

- **Set forward, or the process stood still:** ticks of more than `LATE_S` seconds ago were missed, not late.
- **Set back by up to `SET_BACK_S`:** nothing is due until the clock shows again the time it had shown, so that no tick
  is handled twice.
- **Set back further:** the clock was wrong before, and its present time counts at once.
"""

from __future__ import annotations

import time

from ajobs.protocol.durations import SECOND_NS

LATE_S = 10.0
"""Seconds without progress after which due ticks count as missed, not as late."""
NOTICED_S = 0.5
"""Seconds by which the clock has to be set back to be logged. NTP moves it by less."""
SET_BACK_S = 3 * 3600.0
"""Seconds by which the clock may be set back while the time it had shown still counts, as in Vixie's cron."""


class WallClock:
    """The wall clock, and the latest time that it has shown."""

    def __init__(self) -> None:
        """Start before any time was shown."""
        self._shown_ns = 0
        self._waits = False
        self.waits_ns = 0
        """Nanoseconds until the clock shows again the latest time that it has shown, as of the last `check`."""

    def now_ns(self) -> int:
        """Return the time in nanoseconds since 1970."""
        return time.time_ns()

    def check(self) -> int:
        """Return the nanoseconds by which the clock was set back, or 0 if not by more than `SET_BACK_S`."""
        now_ns = time.time_ns()
        back_ns = self._shown_ns - now_ns
        self.waits_ns = back_ns if NOTICED_S * SECOND_NS < back_ns <= SET_BACK_S * SECOND_NS else 0
        if back_ns > SET_BACK_S * SECOND_NS:
            self._shown_ns = now_ns
            return back_ns
        self._shown_ns = max(self._shown_ns, now_ns)
        return 0

    def begins_to_wait(self) -> bool:
        """Return whether the clock was set back by no more than `SET_BACK_S`: true once, until it has caught up."""
        before, self._waits = self._waits, self.waits_ns > 0
        return self._waits and not before


def stood_still(done_ns: int, now_ns: int) -> bool:
    """Return whether the clock moved so far past the last progress that due ticks were missed."""
    return now_ns - done_ns > LATE_S * SECOND_NS


def believable(done_ns: int, now_ns: int) -> int:
    """Return a stored progress, or now if it lies so far ahead that the clock that wrote it was wrong."""
    return done_ns if done_ns < now_ns + SET_BACK_S * SECOND_NS else now_ns
