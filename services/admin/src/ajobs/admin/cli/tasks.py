"""``ajc tasks``: the group, and the commands on one task and on the store as a whole."""

from __future__ import annotations

from ajobs.admin.cli.arguments import Command, Duration, Force, Json, group
from ajobs.admin.cli.documents import store_document
from ajobs.admin.cli.session import connect, make_stores
from ajobs.admin.text.human import duration_text, plural, when_text
from ajobs.admin.text.output import say, show_fields, show_json
from ajobs.admin.text.payloads import shown_payload
from ajobs.admin.text.prompts import confirm
from ajobs.client.client import Client
from ajobs.protocol.durations import from_ns
from ajobs.protocol.task import Task
from ajobs.protocol.timestamps import parse_timestamp

app = group("tasks", "Add, look at, wait for, retry, delete and run tasks.")
for command in (
    Command("add", ("new", "a", "enqueue"), "adding:add", "Add a task and print its id, or add many."),
    Command("retry", (), "changing:retry", "Enqueue tasks again: by id, or all that are like this."),
    Command("delete", ("del", "rm"), "changing:delete", "Delete tasks: by id, or all that are like this."),
    Command("list", ("ls",), "listing:list_", "List tasks."),
    Command("watch", (), "following:watch", "Show what becomes of tasks, as it happens."),
    Command("wait", (), "following:wait", "Wait until tasks are finished."),
    Command("result", (), "following:result", "Wait for a task and print its result."),
    Command("process", (), "processing:process", "Run tasks with a program, or a service behind NATS."),
    Command("cron", ("c",), "schedules:cron", "Manage schedules; the same as ajc schedules."),
):
    command.mount(app)


@app.command(name="view", alias=("show", "v", "info", "i"))
async def view(task_id: str, /, *, json: Json = False) -> None:
    """Show a task.

    Parameters
    ----------
    task_id
        Its id.
    """
    async with connect() as client:
        task = await client.load(task_id)
    if json:
        show_json(task)
    else:
        show_task(task)


@app.command(name="purge")
async def purge(*, force: Force = False) -> None:
    """Delete all tasks. Items stay in the queues; workers drop those whose tasks are gone."""
    async with connect() as client:
        count = (await client.store_info()).tasks
        confirm(f"Delete all {plural(count, 'task')}?", force=force)
        deleted = await client.purge_tasks()
    say(f"deleted {plural(deleted, 'task')}")


@app.command(name="initialize")
async def initialize(*, memory: bool = False, retention: Duration = 0, replicas: int = 1, json: Json = False) -> None:
    """Make the stores that are missing. What exists stays as it is.

    Parameters
    ----------
    memory
        Keep them in the servers' memory.
    retention
        How long after its last change a task is kept; 0: for ever.
    replicas
        On how many servers they are kept.
    """
    async with connect(replicas=replicas, task_retention=from_ns(retention)) as client:
        await make_stores(client, replicas=replicas, memory=memory, retention_ns=retention)
        await _show_store(client, json=json)


@app.command(name="configure", alias=("config", "cfg"))
async def configure(retention: Duration, replicas: int | None = None, /, *, json: Json = False) -> None:
    """Change the settings of the task store.

    Parameters
    ----------
    retention
        How long after its last change a task is kept; 0: for ever.
    replicas
        On how many servers it is kept. Default: as many as now.
    """
    async with connect() as client:
        await client.configure_store(retention=from_ns(retention), replicas=replicas)
        await _show_store(client, json=json)


async def _show_store(client: Client, *, json: bool) -> None:
    from ajobs.admin.cli.info import show_store  # it loads what only it and queues need

    store = await client.store_info()
    if json:
        show_json(store_document(store))
    else:
        show_store(store)


def show_task(task: Task) -> None:
    """Print a task."""
    dependencies = task.dependencies or ()
    show_fields(
        f"Task {task.id}",
        [
            ("Type", task.type),
            ("State", task.state or "unknown"),
            ("Queue", task.queue or "none"),
            ("Tries", f"{task.tries:,} of {task.max_tries:,}" if task.max_tries else f"{task.tries:,}"),
            ("Created", when_text(task.created)),
            ("Last tried", when_text(task.tried)) if task.tried else None,
            ("Deadline", when_text(task.deadline)) if task.deadline else None,
            ("Last error", task.last_err) if task.last_err else None,
            ("Depends on", ", ".join(dependencies)) if dependencies else None,
            ("Loads results", "of what it depends on") if task.load_dependencies else None,
            ("Signed", task.signature) if task.signature else None,
            ("Payload", shown_payload(task.payload)),
            *_result_fields(task),
        ],
    )


def _result_fields(task: Task) -> list[tuple[str, str]]:
    if task.result is None:
        return []
    fields = [("Result", shown_payload(bytes(task.result.payload))), ("Completed", when_text(task.result.completed))]
    if task.tried is not None:
        took_ns = parse_timestamp(task.result.completed) - parse_timestamp(task.tried)
        fields.append(("Took", duration_text(max(took_ns, 0))))
    return fields
