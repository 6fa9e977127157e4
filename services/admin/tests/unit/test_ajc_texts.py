"""How ``ajc`` writes numbers and times, and reads durations and payloads."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ajobs.admin.cli.filters import FilterOptions
from ajobs.admin.cli.schedule_options import cron_text
from ajobs.admin.text import human, printing, tables
from ajobs.admin.text.payloads import payload_of
from ajobs.admin.text.printing import printable
from ajobs.admin.text.tables import Column, fitting, show_table
from ajobs.client.tasks.ages import parse_age
from ajobs.protocol.durations import HOUR_NS, MINUTE_NS, SECOND_NS
from ajobs.protocol.errors import ConfigurationError, InvalidDurationError

DAY_NS = 24 * HOUR_NS


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (139 * 1024, "139 KiB"),
        (1024**2 - 1, "0.99 MiB"),
        (12 * 1024**2, "12 MiB"),
        (1024**3 * 5 // 2, "2.5 GiB"),
        (1024**6, "1024 PiB"),
    ],
)
def test_sizes(size, text):
    assert human.size_text(size) == text


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1500, "1.5µs"),
        (12 * 10**6, "12ms"),
        (1_250_000_000, "1.25s"),
        (59_999_999_999, "59.9s"),
        (MINUTE_NS, "1m"),
        (90 * SECOND_NS, "1m30s"),
        (HOUR_NS, "1h"),
        (DAY_NS - 1, "23h59m"),
        (26 * HOUR_NS, "1d2h"),
        (400 * DAY_NS, "1y35d"),
        (-HOUR_NS, "-1h"),
    ],
)
def test_durations(duration_ns, text):
    assert human.duration_text(duration_ns) == text


@pytest.mark.parametrize(
    ("text", "duration_ns"),
    [
        ("90s", 90 * SECOND_NS),
        ("1h30m", 90 * MINUTE_NS),
        ("0", 0),
        ("-1s", -SECOND_NS),
        ("7d", 7 * DAY_NS),
        ("1w", 7 * DAY_NS),
        ("1d12h", 36 * HOUR_NS),
        ("1y", 365 * DAY_NS),
        ("2M", 60 * DAY_NS),
        ("1w1d1h", 193 * HOUR_NS),
    ],
)
def test_durations_are_read_with_days_and_more(text, duration_ns):
    assert parse_age(text) == duration_ns


@pytest.mark.parametrize("text", ["", "d", "5", "1d5", "1h1d", "-1d", "1.5d", "1x", "999999999999w"])
def test_invalid_durations_are_refused(text):
    with pytest.raises(InvalidDurationError):
        parse_age(text)


@given(st.integers(min_value=0, max_value=2**62))
def test_a_duration_as_text_is_rounded_down(duration_ns):
    text = human.duration_text(duration_ns)
    assert len(text) <= 8
    if "µ" not in text:
        assert parse_age(text) <= duration_ns


def test_times():
    now = 1_000_000 * SECOND_NS
    assert human.age_text("1970-01-12T13:45:00Z", now) == "1m40s"
    assert human.age_text("1970-01-12T13:47:00Z", now) == "0s"
    assert human.when_text("1970-01-12T13:45:00Z", now).endswith(" (1m40s ago)")
    assert human.when_text("1970-01-12T13:48:20Z", now).endswith(" (in 1m40s)")
    for nothing in (None, "", "0001-01-01T00:00:00Z"):
        assert human.time_text(nothing) == human.age_text(nothing) == human.when_text(nothing) == "never"


def test_counts():
    assert [human.plural(n, "task") for n in (0, 1, 1200)] == ["0 tasks", "1 task", "1,200 tasks"]
    assert [human.limit_text(n) for n in (-1, 0, 5000)] == ["unlimited", "unlimited", "5,000"]


def test_moments():
    assert FilterOptions(since="2026-01-31T12:00:00Z").matcher(()).created_since_ns == 1769860800 * SECOND_NS
    for option in ("since", "before", "tried_since", "tried_before"):
        with pytest.raises(ConfigurationError, match=f"invalid --{option.replace('_', '-')} 'noon'"):
            FilterOptions(**{option: "noon"}).matcher(())


def test_filters_are_given_with_commas_or_repeated():
    found = FilterOptions(state=("new, active", "completed"), task_type=("a,b", "c")).matcher(("Q", "R,S"))
    assert found.states == {"new", "active", "complete"}
    assert found.task_types == {"a", "b", "c"}
    assert found.queues == {"Q", "R", "S"}
    assert FilterOptions().matcher(()).is_empty
    assert not FilterOptions(error="x").matcher(()).is_empty


@given(st.text())
def test_printed_text_has_no_control_characters(text):
    assert printable(text).isprintable()


@given(st.binary(), st.booleans())
def test_every_text_becomes_a_json_payload(data, raw):
    text = data.decode(errors="surrogateescape")
    if text.startswith("@") or "\0" in text:
        return
    try:
        payload = payload_of(text, None, raw=raw)
    except ConfigurationError:
        with pytest.raises(UnicodeDecodeError):
            data.decode()
        return
    if raw:
        assert payload == data
    else:
        msgspec.json.decode(payload)


@pytest.mark.parametrize(
    ("text", "cron"),
    [
        ("monthly", "@monthly"),
        ("@monthly", "@monthly"),
        ("every 5m", "@every 5m"),
        ("0 * * * *", "0 * * * *"),
        ("CRON_TZ=Europe/Berlin daily", "CRON_TZ=Europe/Berlin @daily"),
        ("dailyish", "dailyish"),
    ],
)
def test_cron_texts(text, cron):
    assert cron_text(text) == cron


def test_a_piped_table_is_aligned_and_whole(capsys):
    columns = (Column[tuple[str, int]]("Name", lambda row: row[0]), Column("N", lambda row: row[1], right=True))
    show_table([("a" * 300, 5), ("b", 1000)], columns, title="T", empty="")
    header, first, second = capsys.readouterr().out.splitlines()
    assert header == f"NAME{' ' * 296}     N"
    assert first == f"{'a' * 300}     5"
    assert second == f"b{' ' * 299}  1000"
    show_table([('a,"', 5)], columns, title="T", empty="", as_csv=True)
    assert capsys.readouterr().out == 'name,n\n"a,""",5\n'


ROWS = [("a" * 20, "b" * 10, "c" * 60)]
COLUMNS = (
    Column[tuple[str, str, str]]("Name", lambda row: row[0]),
    Column[tuple[str, str, str]]("Other", lambda row: row[1], dropped=1),
    Column[tuple[str, str, str]]("Long", lambda row: row[2], is_long=True),
)


@pytest.mark.parametrize(
    ("room", "widths"),
    [
        (200, {"Name": 20, "Other": 10, "Long": 60}),
        (96, {"Name": 20, "Other": 10, "Long": 60}),
        (70, {"Name": 20, "Other": 10, "Long": 34}),
        (52, {"Name": 20, "Other": 10, "Long": 16}),
        (51, {"Name": 20, "Long": 27}),
        (36, {"Name": 20, "Long": 12}),
        (20, {"Name": 8, "Long": 8}),
        (5, {"Name": 4, "Long": 4}),
    ],
)
def test_a_table_leaves_columns_out_before_it_cuts_others(room, widths):
    assert {column.title: width for column, width in fitting(ROWS, COLUMNS, room).items()} == widths


def test_a_table_without_rows_is_as_wide_as_its_titles():
    assert [*fitting([], COLUMNS, 80).values()] == [4, 5, 4]


HOSTILE = "a\x1b]0;x\x07\x9b\u202e\U000e0001b"


def test_json_on_a_terminal_has_no_control_characters(capsys):
    printing.show_json({"a": [HOSTILE]})
    printing.show_json_line({"a": [HOSTILE]})
    printed = capsys.readouterr().out
    assert printed.replace("\n", "").isprintable()
    whole, _, line = printed.strip().rpartition("\n")
    assert json.loads(whole) == json.loads(line) == {"a": [HOSTILE]}


def test_foreign_text_is_escaped_on_a_terminal_only(capsys, monkeypatch):
    printing.say_foreign(f"1\n{HOSTILE}")
    assert capsys.readouterr().out == f"1\n{HOSTILE}\n"
    monkeypatch.setattr(printing, "is_terminal", lambda: True)
    printing.say_foreign(f"1\n{HOSTILE}")
    assert capsys.readouterr().out == "1\na\\x1b]0;x\\x07\\x9b\\u202e\\U000e0001b\n"


def test_csv_has_no_formulas(capsys):
    columns = [Column[Any]("value", lambda value: value)]
    tables.show_csv(["=1+1", "+1", "-1", "@x", "a=1", "\t=1", HOSTILE, -1], columns)
    lines = capsys.readouterr().out.splitlines()[1:]
    assert lines[:5] == ["'=1+1", "'+1", "'-1", "'@x", "a=1"]
    assert lines[5] == " =1"
    assert lines[6].isprintable()
    assert lines[7] == "-1"
