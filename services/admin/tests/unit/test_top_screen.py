"""The picture of `ajc top` at any size, and the tables that it is made of."""

from __future__ import annotations

import msgspec
import pytest
from rich.cells import cell_len

from ajobs.admin.top.model import Failure, Poll, PolledQueue, QueueRow, Rates, TypeRow, View
from ajobs.admin.top.screen import Choices, picture, snapshot
from ajobs.admin.top.tables import Column, allot, fit, sized, sparkline
from ajobs.admin.top.terminal import letters
from ajobs.protocol.presence import RunningTask, WorkerPresence, WorkerQueue

NOW_NS = 1_769_860_800 * 10**9


def queue_row(name, *, items=5, failed=0.0, completed=1.0, **more):
    queue = PolledQueue(
        name=name, waiting=items, in_progress=0, oldest_s=61.0, pulls=1, max_concurrent=100,
        **{"items": items, "paused": False, **more},
    )  # fmt: skip
    return QueueRow(queue=queue, rates=Rates(completed=completed, failed=failed, completed_series=(0, 1, 2)))


def type_row(task_type, *, p95=1.0, failed=0, completed=10):
    return TypeRow(
        task_type=task_type, queue="Q", completed=completed, failed=failed, per_second=2.0,
        p50_s=0.5, p95_s=p95, longest_s=9.0,
    )  # fmt: skip


WORKER = WorkerPresence(
    id="1", name="mailer-1", host="h", pid=1, version="1", state="running", started="2026-01-31T12:00:00Z",
    updated="2026-01-31T12:00:10Z", concurrency=10, queues=(WorkerQueue(name="Q0", concurrency=10),), handlers=("t",),
    running=(RunningTask(id="a", type="email:new", queue="Q0", started="2026-01-31T12:00:06.5Z"),), running_count=1,
)  # fmt: skip


def view_of(queues=12, types=9, failures=40, **more):
    given = {
        "connected": True, "problem": "", "stale_s": 1.0, "watched_s": 5.0,
        "poll": Poll(
            workers=(WORKER,), leaders={"task_scheduler": "sched-1"}, tasks=1234, server="nats://h:4222",
            version="2.15.1",
        ),
        "rates": Rates(enqueued=123.4, completed=1.25, failed=0.5, enqueued_series=(1,) * 60),
        "queues": tuple(queue_row(f"Q{n}", items=n) for n in range(queues)),
        "types": tuple(type_row(f"type:{n}") for n in range(types)),
        "failures": tuple(
            Failure(
                timestamp="2026-01-31T12:00:00Z", task_id=f"id{n}", task_type="email:bad", queue="Q", state="retry",
                tries=3, error=f"broken {n} \x1b[31m\n日本語",
            )
            for n in range(failures)
        ),
    }  # fmt: skip
    return View(**(given | more))


def lines_of(view, width, height, **choices):
    return [line.plain for line in picture(view, Choices(**choices), width, height, NOW_NS)]


@pytest.mark.parametrize("size", [(80, 24), (160, 50), (120, 32), (81, 31), (60, 20), (40, 12), (20, 5), (300, 100)])
@pytest.mark.parametrize("view", [view_of(), view_of(0, 0, 0), view_of(connected=False), view_of(problem="x" * 200)])
def test_a_picture_has_as_many_lines_as_the_terminal_and_none_is_longer(size, view):
    width, height = size
    lines = lines_of(view, width, height)
    assert len(lines) == height
    assert lines[-1].startswith("q quit")
    if width >= 80:
        assert max(map(cell_len, lines)) <= width
    assert not any(char in "".join(lines) for char in "\x1b\n")


def test_the_smallest_usual_terminal_shows_some_of_everything():
    lines = lines_of(view_of(), 80, 24)
    text = "\n".join(lines)
    for expected in (
        "Q11",
        "mailer-1",
        "1/10",
        "3.5s email:new",
        "type:0",
        "broken 0",
        "sched-1",
        "1,234 tasks",
        "… 7 more",
    ):
        assert expected in text
    assert sum(line.startswith("Q") for line in lines) == 6  # a title and five queues
    assert all(len(line) == 80 for line in lines if line.startswith(("QUEUE", "WORKER", "TASK", "FAILED")))


def test_a_larger_terminal_shows_more_rows_and_columns():
    text = "\n".join(lines_of(view_of(), 160, 50))
    assert all(f"Q{n} " in text for n in range(12))
    assert "OUT, LAST 30 S" in text
    assert "DONE, 5 M" in text
    assert "id0" in text


@pytest.mark.parametrize(
    ("choices", "first"),
    [
        ({"queue_sort": "items"}, "deep"),
        ({"queue_sort": "rate"}, "busy"),
        ({"queue_sort": "failures"}, "failing"),
        ({"queue_sort": "oldest"}, "old"),
        ({"queue_sort": "name"}, "Alphabet"),
    ],
)
def test_queues_are_sorted_as_chosen(choices, first):
    queues = (
        queue_row("busy", completed=9.0), queue_row("deep", items=900), queue_row("failing", failed=3.0),
        queue_row("Alphabet"), queue_row("old"),
    )  # fmt: skip
    old = msgspec.structs.replace(queues[-1], queue=msgspec.structs.replace(queues[-1].queue, oldest_s=1e6))
    lines = lines_of(msgspec.structs.replace(view_of(0), queues=(*queues[:-1], old)), 80, 40, **choices)
    title = next(n for n, line in enumerate(lines) if line.startswith("QUEUE"))
    assert lines[title + 1].startswith(first)


@pytest.mark.parametrize(("sort", "first"), [("slowest", "slow"), ("failing", "bad"), ("busiest", "much")])
def test_task_types_are_sorted_as_chosen(sort, first):
    types = (type_row("slow", p95=60.0), type_row("bad", failed=10), type_row("much", completed=10_000))
    lines = lines_of(msgspec.structs.replace(view_of(0, 0), types=types), 80, 40, type_sort=sort)
    title = next(n for n, line in enumerate(lines) if line.startswith("TASK TYPE"))
    assert lines[title + 1].startswith(first)


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({"paused": True}, "paused"),
        ({"pulls": 0}, "no worker"),
        ({"pulls": 0, "in_progress": 2}, ""),
        ({"pulls": 0, "items": 0}, ""),
    ],
)
def test_a_queue_shows_why_its_tasks_do_not_run(more, state):
    row = queue_row("SALES")
    row = msgspec.structs.replace(row, queue=msgspec.structs.replace(row.queue, **more))
    lines = lines_of(msgspec.structs.replace(view_of(0), queues=(row,)), 80, 24)
    (line,) = [line for line in lines if line.startswith("SALES")]
    assert line[-9:].strip() == state


@pytest.mark.parametrize(
    ("view", "choices", "text"),
    [
        (view_of(connected=False, stale_s=12.4), {}, "disconnected, reconnecting; shown values are 12 s old"),
        (view_of(problem="no answer", stale_s=3.0), {}, "no answer; shown values are 3 s old"),
        (view_of(), {"paused": True}, "paused"),
        (view_of(), {"queue": "Q7"}, "f queue: Q7"),
    ],
)
def test_unusual_conditions_are_shown(view, choices, text):
    assert text in "\n".join(lines_of(view, 80, 24, **choices))


def test_a_snapshot_cuts_nothing():
    failure = msgspec.structs.replace(view_of().failures[0], error="x" * 500)
    view = msgspec.structs.replace(view_of(40), failures=(failure,))
    text = "\n".join(line.plain for line in snapshot(view, Choices(), NOW_NS))
    assert "x" * 500 in text
    assert all(f"Q{n} " in text for n in range(40))


# ---- the parts


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (b"q", "q"), (b"sp", "sp"), (b"\x1b[Ap", "p"), (b"s\x1b[1;5Ct", "st"), (b"\x1bOPq", "q"), (b"\x1b", ""),
        (b"\x1b[", ""), ("é\x1b[Bq".encode(), "éq"), (b"\xff\xfeq", "q"), (b"", ""),
    ],
)  # fmt: skip
def test_only_letters_are_keys(typed, expected):
    assert letters(typed) == expected


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [("ab", 4, "ab  "), ("abcdef", 4, "abc…"), ("abcd", 4, "abcd"), ("日本語", 4, "日 …"), ("a", 0, ""), ("", 2, "  ")],
)
def test_a_text_takes_exactly_its_cells(text, width, expected):
    assert sized(text, width) == expected
    assert cell_len(sized(text, width, right=True)) == width


@pytest.mark.parametrize(
    ("counts", "width", "expected"),
    [
        ([], 3, "   "),
        ([0, 0], 3, " ▁▁"),
        ([1, 2, 4, 8], 4, "▂▂▄█"),
        ([8, 1, 1], 2, "██"),
        ([1, 1_000_000], 2, "▂█"),
        ([5], 0, ""),
    ],
)
def test_a_sparkline_shows_the_last_counts_and_anything_above_nothing(counts, width, expected):
    shown = sparkline(counts, width)
    assert len(shown) == width
    assert shown == expected


@pytest.mark.parametrize(
    ("wanted", "rows", "expected"),
    [
        ([9, 9, 9, 9], 4, [1, 1, 1, 1]),
        ([9, 9, 9, 9], 13, [4, 3, 3, 3]),
        ([1, 1, 1, 1], 20, [1, 1, 1, 1]),
        ([99, 1, 1, 1], 20, [17, 1, 1, 1]),
        ([9, 9, 9, 9], 0, [0, 0, 0, 0]),
        ([9, 9, 9, 9], 2, [1, 1, 0, 0]),
    ],
)
def test_rows_are_shared_by_weight_and_by_need(wanted, rows, expected):
    assert allot(wanted, (4, 3, 3, 3), rows) == expected


def test_columns_fill_the_width():
    columns = [Column("A", 0), Column("B", 5), Column("C", 0)]
    assert fit(columns, [], 20) == [7, 5, 6]
    assert fit(columns, [["abc", "d", "日本"]], None) == [3, 1, 4]
