"""Which runs are due, and which were missed."""

from __future__ import annotations

import msgspec
import pytest

from ajobs.client.schedules.cron import parse_recurrence
from ajobs.client.schedules.schedules import ScheduleInfo
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.ids import parse_ksuid
from ajobs.protocol.schedule import CatchUp, Schedule, ScheduleOptions, due_ns, tick_id
from ajobs.protocol.timestamps import format_timestamp, parse_timestamp
from ajobs.scheduler import timetable
from ajobs.scheduler.timetable import MOST_SKIPPED, Timetable

START = 1_800_000_000 * SECOND_NS


def info(name="a", text="@every 10s", *, since_s=0, problem=None, **options) -> ScheduleInfo:
    created = format_timestamp(START)
    schedule = Schedule(name=name, schedule=text, task_type="t", queue="Q", created_at=created)
    return ScheduleInfo(
        schedule=schedule, options=ScheduleOptions(**options), since=format_timestamp(at(since_s)), problem=problem
    )


def at(seconds: float) -> int:
    return START + int(seconds * SECOND_NS)


def seconds(runs) -> list[float]:
    return [(run.tick_ns - START) / SECOND_NS for run in runs]


def table(*infos: ScheduleInfo, now_s: float = 0) -> Timetable:
    made = Timetable()
    for each in infos:
        made.put(each, at(now_s))
    return made


def test_due_ticks_are_returned_in_order_and_replaced_by_the_next():
    made = table(info("a"), info("b", "@every 15s"))
    assert made.next_due_ns == at(10)
    assert made.pop_due(at(9.9)) == []
    taken: list[tuple[str, float]] = []
    while made.next_due_ns <= at(30):
        due = made.pop_due(made.next_due_ns)
        taken += [(run.info.name, (run.tick_ns - START) / SECOND_NS) for run in due]
        made.advance(due)
    assert taken == [("a", 10), ("b", 15), ("a", 20), ("a", 30), ("b", 30)]


def test_a_changed_schedule_replaces_the_old_one():
    made = table(info())
    due = made.pop_due(at(10))
    made.put(info(text="@every 7s", since_s=10), at(10))
    made.advance(due)
    assert made.next_due_ns == at(14)
    made.put(info(paused=True), at(10))
    assert made.next_due_ns is None
    assert list(made.schedules) == ["a"]
    made.remove("a")
    assert made.schedules == {}


@pytest.mark.parametrize("options", [{"paused": True}, {"problem": "broken"}])
def test_a_paused_or_broken_schedule_has_no_runs_and_affects_no_other(options):
    made = table(info("a", "nonsense" if "problem" in options else "@every 1s", **options), info("b"))
    assert [run.info.name for run in made.pop_due(at(100))] == ["b"]
    assert set(made.schedules) == {"a", "b"}


def test_runs_due_during_standby_are_skipped():
    made = table(info())
    made.skip_to(at(35))
    assert made.next_due_ns == at(40)


@pytest.mark.parametrize(
    ("options", "wanted", "dropped"),
    [
        ({"catch_up": CatchUp.NONE}, [], [20, 30, 40]),
        ({}, [40], [20, 30]),
        ({"catch_up": CatchUp.ALL}, [20, 30, 40], []),
        ({"catch_up": CatchUp.ALL, "catch_up_limit": 2}, [30, 40], [20]),
        ({"catch_up": CatchUp.ALL, "since_s": 30}, [40], []),
        ({"paused": True}, [], []),
    ],
    ids=str,
)
def test_missed_runs_are_caught_up_as_the_schedule_asks(options, wanted, dropped):
    found = table(info(**options)).missed(at(10), at(45))
    assert [seconds(runs) for runs in found] == [wanted, dropped]


@pytest.mark.parametrize("catch_up", CatchUp)
def test_a_run_that_is_slightly_late_never_counts_as_missed(catch_up):
    wanted, _ = table(info(catch_up=catch_up)).missed(at(10), at(21))
    assert seconds(wanted) == [20]


def test_a_long_gap_computes_only_the_ticks_it_needs(monkeypatch):
    asked = 0

    class Counting:
        """Counts its calls."""

        def __init__(self, recurrence) -> None:
            self._recurrence = recurrence

        def next_after(self, now_ns: int) -> int:
            nonlocal asked
            asked += 1
            return self._recurrence.next_after(now_ns)

    monkeypatch.setattr(
        timetable, "recurrence_of", lambda of: Counting(parse_recurrence(of.schedule, parse_timestamp(of.created_at)))
    )
    year_s = 365 * 86400
    for text in ("@every 1s", "* * * * *", "* 9 * * mon"):
        made = table(info(text=text))
        wanted, dropped = made.missed(at(0), at(year_s))
        assert (len(wanted), len(dropped)) == (1 if "every" not in text else 2, MOST_SKIPPED), text
        assert asked < 300, text
        asked = 0


def test_runs_that_are_put_back_are_due_again():
    made = table(info("a"), info("b"))
    due = made.pop_due(at(10))
    made.put(info("b", "@every 7s"), at(10))  # changed meanwhile, so its own next run counts
    made.put_back(due)
    assert [(run.info.name, run.tick_ns) for run in made.pop_due(at(10))] == [("a", at(10))]
    assert made.next_due_ns == at(14)


def test_it_can_restart_at_an_earlier_time():
    made = table(info(), now_s=10_000)
    made.restart(at(25))
    assert made.next_due_ns == at(30)


def test_jitter_never_makes_a_run_later_than_the_next_one():
    """Otherwise a single time could not describe the progress."""
    made = table(info(text="@every 3s", jitter=60 * SECOND_NS))
    taken = []
    while made.next_due_ns <= at(300):
        due = made.pop_due(made.next_due_ns)
        taken += due
        made.advance(due)
    assert seconds(taken) == [3 * n for n in range(1, len(taken) + 1)]
    assert len(taken) >= 99
    assert all(run.tick_ns <= run.due_ns < run.tick_ns + 3 * SECOND_NS for run in taken)
    assert len({run.due_ns - run.tick_ns for run in taken}) > 90


def test_a_run_with_jitter_is_due_after_its_tick_has_passed():
    jitter = 8 * SECOND_NS
    due = due_ns("a", at(10), jitter)
    assert due > at(10)
    made = Timetable()
    made.put(info(jitter=jitter), due - 1)
    assert [run.tick_ns for run in made.pop_due(due)] == [at(10)]
    made.put(info(jitter=jitter), due)
    assert made.pop_due(due) == []


def test_repeated_changes_of_a_schedule_take_no_more_memory():
    made = table(info("a", "@yearly"), info("b"))
    for _ in range(10_000):
        made.put(info("a", "@yearly"), at(0))
    assert len(made._heap) < 200


def test_jitter_delays_runs_equally_in_all_schedulers():
    jitter = 5 * SECOND_NS
    made = table(info(jitter=jitter, catch_up=CatchUp.ALL))
    (run,) = made.pop_due(at(15))
    assert run.tick_ns <= run.due_ns <= run.tick_ns + jitter
    assert run.due_ns == due_ns("a", run.tick_ns, jitter)
    lateness = {due_ns("a", at(n), jitter) - at(n) for n in range(100)}
    assert len(lateness) > 90
    # A run whose tick is before the gap but that was due inside it was missed too.
    wanted, _ = made.missed(run.due_ns - 1, run.due_ns)
    assert seconds(wanted) == [10]
    assert made.missed(run.due_ns, run.due_ns) == ([], [])


def test_the_id_of_a_tick_is_a_ksuid_of_its_second():
    found = tick_id("daily", at(7.5))
    assert parse_ksuid(found).unix_s == at(7.5) // SECOND_NS
    assert found == tick_id("daily", at(7.5))
    assert len({tick_id("daily", at(8)), tick_id("daily", at(7.6)), tick_id("other", at(7.5)), found}) == 4


def test_ten_thousand_schedules_are_in_order():
    made = table(*(info(f"s{n}", f"{n % 60} {n // 60 % 24} * * *") for n in range(10_000)))
    due: list[int] = []
    while made.next_due_ns < at(3600):
        runs = made.pop_due(made.next_due_ns)
        due += [run.due_ns for run in runs]
        made.advance(runs)
    assert due == sorted(due)
    assert 300 < len(due) < 600


def test_missing_options_have_their_defaults():
    assert msgspec.json.encode(ScheduleOptions()) == b"{}"
