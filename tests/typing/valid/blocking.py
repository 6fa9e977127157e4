"""A script uses the blocking client."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import assert_type

from ajobs.client import BlockingClient, CatchUp, ScheduleInfo, Task


def script() -> None:
    with BlockingClient(queue="EMAIL") as client:
        assert_type(client.enqueue("email:new", ["a"], queue="OTHER"), Task)
        assert_type(client.result("id", int, timeout=1.5), int)
        assert_type(client.tasks(task_type="t", tried_since=timedelta(hours=1)), Iterator[Task])
        schedule = client.schedules.create("nightly", "0 2 * * *", "report", catch_up=CatchUp.LAST, max_tries=3)
        assert_type(schedule, ScheduleInfo)
        assert_type(client.schedules.run_now("nightly"), Task)
