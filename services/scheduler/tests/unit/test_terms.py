"""The times for which a scheduler of Choria Async Jobs led."""

from __future__ import annotations

from ajobs.protocol.durations import SECOND_NS
from ajobs.scheduler.terms import MOST_TERMS, ForeignTerms


def covered(terms: ForeignTerms) -> list[int]:
    return [second for second in range(60) if terms.cover(second * SECOND_NS)]


def wrote(terms: ForeignTerms, *seconds: int, led_before: bool = False) -> None:
    for second in seconds:
        terms.wrote(second * SECOND_NS, 10, led_before=led_before)


def test_a_term_lasts_from_the_second_write_to_the_last():
    terms = ForeignTerms()
    wrote(terms, 10, 17, 25)
    assert covered(terms) == list(range(18, 26))


def test_one_write_is_no_term():
    terms = ForeignTerms()
    wrote(terms, 10, 30)
    assert covered(terms) == []


def test_a_leader_that_was_there_before_led_since_then():
    terms = ForeignTerms()
    wrote(terms, 10, led_before=True)
    assert covered(terms) == list(range(1, 11))


def test_a_pause_of_more_than_the_time_to_live_ends_a_term():
    terms = ForeignTerms()
    wrote(terms, 1, 4, 4, 8, 20, 23, 26)
    assert covered(terms) == [*range(5, 9), *range(24, 27)]


def test_terms_are_forgotten_once_progress_covers_them():
    terms = ForeignTerms()
    wrote(terms, 1, 5, 9)
    terms.forget()
    wrote(terms, 12)
    assert covered(terms) == []


def test_memory_is_bounded():
    terms = ForeignTerms()
    wrote(terms, *range(0, 20 * 2 * MOST_TERMS, 20))
    assert len(terms._terms) == MOST_TERMS
