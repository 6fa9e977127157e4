"""When schedules are due: plain tables, clocks that change, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ajobs.client.schedules.cron import latest_ticks, next_ticks, parse_recurrence
from ajobs.client.schedules.cron_text import canonical
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import InvalidScheduleError


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * SECOND_NS


def ticks(text: str, after: str, count: int, zone: str = "UTC") -> list[str]:
    found = islice(next_ticks(parse_recurrence(text, ns(after)), ns(after)), count)
    moments = (datetime.fromtimestamp(tick // SECOND_NS, ZoneInfo(zone)) for tick in found)
    return [moment.strftime("%m-%d %H:%M" + ("%z" if zone != "UTC" else "")) for moment in moments]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* * * * *", ["03-10 12:01", "03-10 12:02", "03-10 12:03"]),
        ("*/20 * * * *", ["03-10 12:20", "03-10 12:40", "03-10 13:00"]),
        ("5,10 9-10 * * *", ["03-11 09:05", "03-11 09:10", "03-11 10:05"]),
        ("30 8 * * MON-FRI", ["03-11 08:30", "03-12 08:30", "03-13 08:30"]),
        ("0 0 1 jan *", ["01-01 00:00", "01-01 00:00", "01-01 00:00"]),
        ("0 0 29 2 *", ["02-29 00:00", "02-29 00:00", "02-29 00:00"]),
        ("0 0 31 * *", ["03-31 00:00", "05-31 00:00", "07-31 00:00"]),
        ("0 0 13 * fri", ["03-13 00:00", "03-20 00:00", "03-27 00:00"]),
        ("0 0 15 * 1-2", ["03-15 00:00", "03-16 00:00", "03-17 00:00"]),
        # A day that begins with * is not restricted: both have to fit.
        ("0 0 */2 * mon", ["03-23 00:00", "04-13 00:00", "04-27 00:00"]),
        ("0 0 1 * */2", ["08-01 00:00", "09-01 00:00", "10-01 00:00"]),
        ("0 0 30,31 * *", ["03-30 00:00", "03-31 00:00", "04-30 00:00"]),
        ("0 0 28-31 2 *", ["02-28 00:00", "02-28 00:00", "02-29 00:00"]),
        ("0 0 * * 0-0", ["03-15 00:00", "03-22 00:00", "03-29 00:00"]),
        ("0 0 1-31 * mon", ["03-11 00:00", "03-12 00:00", "03-13 00:00"]),
        ("5/25 12 * * *", ["03-10 12:05", "03-10 12:30", "03-10 12:55"]),
        ("0 0 * * 6-7", ["03-14 00:00", "03-15 00:00", "03-21 00:00"]),
        ("0 0 * * Fri-7/2", ["03-13 00:00", "03-15 00:00", "03-20 00:00"]),
        ("0 0 1 JAN-mar/2 *", ["01-01 00:00", "03-01 00:00", "01-01 00:00"]),
        ("0 0 * * 7", ["03-15 00:00", "03-22 00:00", "03-29 00:00"]),
        ("0 0 * * 0", ["03-15 00:00", "03-22 00:00", "03-29 00:00"]),
        ("10-30/10 3 ? * *", ["03-11 03:10", "03-11 03:20", "03-11 03:30"]),
        ("@hourly", ["03-10 13:00", "03-10 14:00", "03-10 15:00"]),
        ("@daily", ["03-11 00:00", "03-12 00:00", "03-13 00:00"]),
        ("@midnight", ["03-11 00:00", "03-12 00:00", "03-13 00:00"]),
        ("@weekly", ["03-15 00:00", "03-22 00:00", "03-29 00:00"]),
        ("@monthly", ["04-01 00:00", "05-01 00:00", "06-01 00:00"]),
        ("@yearly", ["01-01 00:00", "01-01 00:00", "01-01 00:00"]),
        ("@annually", ["01-01 00:00", "01-01 00:00", "01-01 00:00"]),
        ("@every 90m", ["03-10 13:30", "03-10 15:00", "03-10 16:30"]),
        ("TZ=Asia/Tokyo 0 0 * * *", ["03-10 15:00", "03-11 15:00", "03-12 15:00"]),
        ("  CRON_TZ=UTC   0  0 * * *", ["03-11 00:00", "03-12 00:00", "03-13 00:00"]),
    ],
)
def test_a_text_has_its_usual_meaning(text, expected):
    assert ticks(text, "2026-03-10T12:00:00+00:00", 3) == expected


@pytest.mark.parametrize(
    ("after", "expected"), [("2026-03-01T00:00+00:00", [2028, 2032]), ("2096-03-01T00:00+00:00", [2104, 2108])]
)
def test_a_leap_day_is_due_in_leap_years(after, expected):
    recurrence = parse_recurrence("CRON_TZ=Europe/Berlin 0 12 29 2 *", 0)
    found = islice(next_ticks(recurrence, ns(after)), len(expected))
    days = [datetime.fromtimestamp(tick // SECOND_NS, UTC) for tick in found]
    assert [(day.year, day.month, day.day, day.hour) for day in days] == [(year, 2, 29, 11) for year in expected]


VALUES = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]


@st.composite
def fields(draw, low: int, high: int) -> str:
    """Return a field of numbers, ranges, steps and lists."""

    def term() -> str:
        kind = draw(st.sampled_from(["*", "*/", "number", "range", "range/"]))
        step = draw(st.integers(1, high + 3))
        first = draw(st.integers(low, high))
        last = draw(st.integers(first, high))
        return {"*": "*", "*/": f"*/{step}", "number": str(first), "range": f"{first}-{last}"}.get(
            kind, f"{first}-{last}/{step}"
        )

    return ",".join(term() for _ in range(draw(st.integers(1, 3))))


def meant(field: str, low: int, high: int) -> set[int]:
    """Return the numbers that a field stands for, in the plainest way."""
    numbers: set[int] = set()
    for term in field.split(","):
        span, _, step = term.partition("/")
        first, _, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        numbers |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return numbers


@given(st.tuples(*(fields(low, high) for low, high in VALUES)), st.integers(1_700_000_000, 1_900_000_000))
def test_fields_have_their_usual_meaning_and_days_are_those_of_vixie_cron(given_fields, second):
    text = " ".join(given_fields)
    minutes, hours, days, months, weekdays = (meant(f, *v) for f, v in zip(given_fields, VALUES, strict=True))
    either = not any(f.startswith("*") or {"*", "*/1"} & set(f.split(",")) for f in (given_fields[2], given_fields[4]))

    def fits(day: datetime) -> bool:
        by_month, by_week = day.day in days, bool({day.isoweekday() % 7, day.isoweekday()} & weekdays)
        return day.month in months and (by_month or by_week if either else by_month and by_week)

    try:
        recurrence = parse_recurrence(text, 0)
    except InvalidScheduleError as e:
        assert "never comes" in str(e)  # noqa: PT017 - it may be refused, for this reason only
        assert not either
        return
    found = datetime.fromtimestamp(recurrence.next_after(second * SECOND_NS) // SECOND_NS, UTC)
    assert fits(found)
    assert found.hour in hours
    assert found.minute in minutes
    assert found.second == 0
    began = datetime.fromtimestamp(second, UTC)
    day = datetime(began.year, began.month, began.day, tzinfo=UTC)
    while day.date() < found.date():
        last = max(hours) * 60 + max(minutes)
        assert not fits(day) or (day.date() == began.date() and began.hour * 60 + began.minute >= last)
        day += timedelta(days=1)
    times = sorted(hour * 60 + minute for hour in hours for minute in minutes)
    after = began.hour * 60 + began.minute if day.date() == began.date() else -1
    assert found.hour * 60 + found.minute == next(each for each in times if each > after)


@given(
    st.sampled_from(["*/7 * * * *", "0 9 * * 1-5", "* 9 1 * *", "0 0 29 2 *", "@every 37s", "TZ=UTC 30 2 * * *"]),
    st.integers(0, 10**9), st.integers(0, 200_000), st.integers(0, 30),
)  # fmt: skip
def test_the_latest_times_are_the_last_of_all_times(text, start, length, count):
    recurrence = parse_recurrence(text, 0)
    after, until = start * SECOND_NS, (start + length) * SECOND_NS
    every: list[int] = []
    for tick in next_ticks(recurrence, after):
        if tick > until:
            break
        every.append(tick)
    assert latest_ticks(recurrence, after, until, count) == every[len(every) - min(count, len(every)) :]


@pytest.mark.parametrize(
    ("zone", "text", "after", "expected"),
    [
        # Skipped: made up for at the change, all times of that day together once.
        ("Europe/Berlin", "30 2 * * *", "2026-03-28T12:00+01:00", ["03-29 03:00+0200", "03-30 02:30+0200"]),
        ("Europe/Berlin", "0,20,40 2 * * *", "2026-03-28T12:00+01:00", ["03-29 03:00+0200", "03-30 02:00+0200"]),
        ("Europe/Berlin", "30 2,3 * * *", "2026-03-29T00:00+01:00", ["03-29 03:00+0200", "03-29 03:30+0200"]),
        ("America/New_York", "30 2 * * *", "2026-03-08T00:00-05:00", ["03-08 03:00-0400", "03-09 02:30-0400"]),
        ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03T12:00+10:30", ["10-04 02:30+1100", "10-05 02:15+1100"]),
        # Twice: the first counts.
        ("Europe/Berlin", "30 2 * * *", "2026-10-24T12:00+02:00", ["10-25 02:30+0200", "10-26 02:30+0100"]),
        ("America/New_York", "30 1 * * *", "2026-11-01T00:00-04:00", ["11-01 01:30-0400", "11-02 01:30-0500"]),
        ("Australia/Lord_Howe", "45 1 * * *", "2026-04-04T12:00+11:00", ["04-05 01:45+1100", "04-06 01:45+1030"]),
        # By what the clock shows: not in what is skipped, in both of what comes twice.
        ("Europe/Berlin", "30 * * * *", "2026-03-29T01:00+01:00", ["03-29 01:30+0100", "03-29 03:30+0200", "03-29 04:30+0200"]),  # noqa: E501
        ("Europe/Berlin", "30 * * * *", "2026-10-25T02:00+02:00", ["10-25 02:30+0200", "10-25 02:30+0100", "10-25 03:30+0100"]),  # noqa: E501
        ("Europe/Berlin", "0 */1 * * *", "2026-10-25T01:30+02:00", ["10-25 02:00+0200", "10-25 02:00+0100", "10-25 03:00+0100"]),  # noqa: E501
        ("America/New_York", "*/30 * * * *", "2026-11-01T01:20-04:00", ["11-01 01:30-0400", "11-01 01:00-0500", "11-01 01:30-0500"]),  # noqa: E501
        ("Australia/Lord_Howe", "*/20 * * * *", "2026-04-05T01:30+11:00", ["04-05 01:40+1100", "04-05 01:40+1030", "04-05 02:00+1030"]),  # noqa: E501
        # In the middle of the hour that comes for the second time.
        ("Europe/Berlin", "30 2 * * *", "2026-10-25T02:10+01:00", ["10-26 02:30+0100"]),
        ("Europe/Berlin", "30 * * * *", "2026-10-25T02:10+01:00", ["10-25 02:30+0100", "10-25 03:30+0100"]),
    ],
)  # fmt: skip
def test_clock_changes_follow_the_rule_of_cron(zone, text, after, expected):
    assert ticks(f"CRON_TZ={zone} {text}", after, len(expected), zone) == expected


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"])
@pytest.mark.parametrize("text", ["17 3 * * *", "30 2 * * *", "45 1 * * *"])
def test_a_daily_schedule_is_due_once_each_day_of_the_year(zone, text):
    found = ticks(f"CRON_TZ={zone} {text}", "2026-01-01T00:00+00:00", 365, zone)
    days = [tick[:5] for tick in found]
    assert len(set(days)) == len(days)


@given(st.sampled_from(["*/7 * * * *", "0 */5 * * 1", "13 4 1 * *", "@every 37s", "59 23 28-31 * *"]),
       st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"]), st.integers(0, 10**9))  # fmt: skip
def test_ticks_are_ascending_and_do_not_depend_on_the_start(text, zone, seconds):
    full = text if text.startswith("@") else f"CRON_TZ={zone} {text}"
    recurrence = parse_recurrence(full, 0)
    now = seconds * SECOND_NS
    first = recurrence.next_after(now)
    assert first > now
    assert recurrence.next_after(first - 1) == first
    assert recurrence.next_after((now + first) // 2) == first


def test_every_counts_from_the_creation():
    created = ns("2026-03-10T12:00:07+00:00")
    recurrence = parse_recurrence("@every 1m", created)
    assert recurrence.next_after(created) == created + 60 * SECOND_NS
    assert recurrence.next_after(created - 10**12) == created + 60 * SECOND_NS
    assert recurrence.next_after(created + 61 * SECOND_NS) == created + 120 * SECOND_NS


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has 0 fields"),
        ("* * * *", "has 4 fields and needs 5"),
        ("* * * * * *", "has 6 fields"),
        ("60 * * * *", r"field 1 \(minute\).*use 0 to 59"),
        ("* 24 * * *", r"field 2 \(hour\)"),
        ("* * 0 * *", r"field 3 \(day of the month\)"),
        ("* * * 13 *", r"field 4 \(month\).*or a name"),
        ("* * * foo *", "has foo"),
        ("* * * * 8", r"field 5 \(day of the week\)"),
        ("5-1 * * * *", "ends before it begins: use two parts, 5-59,0-1"),
        ("0 0 * * fri-sun", "use two parts, fri-sat,sun"),
        ("* * * * monday", r"has monday: use 0 to 7 or a name \(sun, mon"),
        ("9" * 5000 + " * * * *", "has 5,008 characters"),
        ("@every " + "9" * 900 + "h", "@every: invalid duration '9{20}'... of 901 characters"),
        ("@reboot", "not known"),
        ("0 0 L * *", r"field 3 \(day of the month\).*has L"),
        ("*/0 * * * *", "step 0"),
        ("*-5 * * * *", "begins a range"),
        ("1,, * * * *", "'' is not"),
        ("L * * * *", "has L"),
        ("0 0 30 2 *", "never comes"),
        ("@weakly", "not known"),
        ("@every", "invalid duration"),
        ("@every 1ms", "too often"),
        ("TZ=Mars/Olympus * * * * *", "unknown time zone 'Mars/Olympus'"),
        ("TZ=../../etc/passwd * * * * *", "unknown time zone"),
        ("TZ= * * * * *", "unknown time zone"),
    ],
)
def test_an_invalid_text_is_refused_with_the_place_and_the_reason(text, problem):
    with pytest.raises(InvalidScheduleError, match=problem):
        parse_recurrence(text, 0)


@given(st.text("0123456789*/,-?@ MONabc=LW#", max_size=24))
def test_any_text_is_a_schedule_or_refused(text):
    try:
        recurrence = parse_recurrence(text, 0)
    except InvalidScheduleError:
        return
    assert recurrence.next_after(10**18) > 10**18


ROBFIG = json.loads((Path(__file__).parent / "robfig.json").read_text())
"""Texts with their first ticks by Go's robfig/cron after 12:00 on 2026-03-10 UTC, and ``None`` for texts it refuses."""
STEPS_OVER_DAYS = {"0 0 1 * */2"}
"""Texts with a day that begins with ``*`` and has a step, and another day: Go requires one of both days, we both."""


@pytest.mark.parametrize("row", ROBFIG, ids=lambda row: repr(row["text"]))
def test_an_accepted_text_is_written_as_go_reads_it_and_means_the_same(row):
    by_go = {each["text"]: each["next"] for each in ROBFIG}
    start = ns("2026-03-10T12:00+00:00")
    try:
        recurrence = parse_recurrence(row["text"], start)
    except InvalidScheduleError:
        return
    found = list(islice(next_ticks(recurrence, start), 4))
    expected = by_go[canonical(row["text"])]
    assert expected is not None
    assert canonical(canonical(row["text"])) == canonical(row["text"])
    shown = [datetime.fromtimestamp(tick // SECOND_NS, UTC).strftime("%Y-%m-%dT%H:%M") for tick in found]
    if row["text"] not in STEPS_OVER_DAYS:
        assert shown[: len(expected)] == expected
    if row["next"] is not None and row["text"] not in STEPS_OVER_DAYS:
        assert row["next"] == expected


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("0 0 * * 7", "0 0 * * 0"),
        ("0 0 * * 1-7", "0 0 * * 0-6"),
        ("0 0 * * mon,Fri-7/2", "0 0 * * mon,0,5"),
        ("  CRON_TZ=Europe/Berlin\t0  2 * * mon/2 ", "CRON_TZ=Europe/Berlin 0 2 * * mon/2"),
        (" @every  10m", "@every 10m"),
        ("TZ=UTC\t@daily", "TZ=UTC @daily"),
    ],
)
def test_a_text_that_go_does_not_read_is_written_differently(text, written):
    assert canonical(text) == written


@pytest.mark.parametrize(
    "text", ["0 0 * * *\n", "\n@daily", "0 0\n* * *", "@every 1m\r\n", "0 0 * * *\x1b[2J", "@daily\u2028"]
)
def test_a_schedule_has_no_line_breaks_or_control_characters(text):
    with pytest.raises(InvalidScheduleError, match="remove line breaks and control characters"):
        parse_recurrence(text, 0)
