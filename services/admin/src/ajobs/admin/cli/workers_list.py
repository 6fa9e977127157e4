"""``ajc workers list``."""

from __future__ import annotations

from collections.abc import Sequence

from ajobs.admin.cli.arguments import Csv, Json
from ajobs.admin.cli.session import connect
from ajobs.admin.text.human import age_text, count_text
from ajobs.admin.text.printing import show_json
from ajobs.admin.text.tables import Column, show_table
from ajobs.protocol.presence import WorkerPresence


def _joined(texts: Sequence[str]) -> str:
    return ", ".join(text or "(all)" for text in texts)


def _done(worker: WorkerPresence) -> int:
    return sum(worker.counters.values())


COLUMNS: tuple[Column[WorkerPresence], ...] = (
    Column("Name", lambda worker: worker.name, style="bold"),
    Column("Host", lambda worker: worker.host, dropped=2),
    Column("Pid", lambda worker: worker.pid, right=True, dropped=3),
    Column("State", lambda worker: worker.state, style=lambda state: "green" if state == "running" else "yellow"),
    Column("Up", lambda worker: worker.started, age_text, right=True),
    Column("Running", lambda worker: worker.running_count, count_text, right=True),
    Column("Slots", lambda worker: worker.concurrency, count_text, right=True),
    Column("Tries", _done, count_text, right=True, dropped=1),
    Column("Queues", lambda worker: _joined([queue.name for queue in worker.queues])),
    Column("Task types", lambda worker: _joined(worker.handlers), is_long=True),
)


async def list_(*, json: Json = False, csv: Csv = False) -> None:
    """List running workers.

    Workers of Choria Async Jobs do not announce themselves, so they are not listed.
    """
    async with connect() as client:
        found = await client.workers()
    if json:
        show_json({"workers": found})
    else:
        show_table(found, COLUMNS, title="Workers", empty="No workers are running.", as_csv=csv)
