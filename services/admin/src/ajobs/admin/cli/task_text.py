"""A task as it is shown to people."""

from __future__ import annotations

from ajobs.admin.text.human import duration_text, when_text
from ajobs.admin.text.payloads import shown_payload
from ajobs.admin.text.printing import show_fields
from ajobs.protocol.task import Task
from ajobs.protocol.timestamps import parse_timestamp


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
            ("Loads results", "of its parents") if task.load_dependencies else None,
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
