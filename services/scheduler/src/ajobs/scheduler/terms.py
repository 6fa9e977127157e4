"""The times for which a scheduler of Choria Async Jobs led, by its writes to the key of the election.

Such a scheduler stores no progress. Without its terms, the next leader would count all ticks since the last progress as
missed, and create their tasks a second time.

- A term lasts from the second write to the last one: such a scheduler acts once it has renewed its key.
- A scheduler that starts while another leads cannot know when that term began. It counts all time before as a part of
  it.
- After its last write, such a scheduler may have acted until the next renewal was due. It is unknown whether it did,
  so these ticks count as missed.
"""

from __future__ import annotations

from ajobs.protocol.durations import SECOND_NS

MOST_TERMS = 1_000
"""Terms to remember. Older ones are forgotten, and their ticks count as missed."""


class _Term:
    def __init__(self, start_ns: int | None, end_ns: int) -> None:
        self.start_ns = start_ns
        self.end_ns = end_ns


class ForeignTerms:
    """Remembers terms until this scheduler has taken over."""

    def __init__(self) -> None:
        """Start without terms."""
        self._terms: list[_Term] = []

    def wrote(self, at_ns: int, ttl_s: float, *, led_before: bool = False) -> None:
        """Note that a foreign leader wrote its key.

        Args:
            at_ns: The time of the write, in nanoseconds since 1970.
            ttl_s: Seconds until the key expires without another write.
            led_before: Whether it was the leader before this write.
        """
        if self._terms:
            term = self._terms[-1]
            if at_ns <= term.end_ns:
                return  # the same write, read again
            if at_ns - term.end_ns <= ttl_s * SECOND_NS:
                term.start_ns = at_ns if term.start_ns is None else term.start_ns
                term.end_ns = at_ns
                return
        self._terms.append(_Term(0 if led_before else None, at_ns))
        del self._terms[:-MOST_TERMS]

    def cover(self, tick_ns: int) -> bool:
        """Return whether a foreign leader was there to handle a tick."""
        return any(term.start_ns is not None and term.start_ns < tick_ns <= term.end_ns for term in self._terms)

    def forget(self) -> None:
        """Forget all terms, because progress that is stored covers them."""
        self._terms.clear()
