"""The task store as it is shown to people."""

from __future__ import annotations

from ajobs.admin.cli.documents import store_document
from ajobs.admin.text.human import count_text, duration_text, size_text, when_text
from ajobs.admin.text.printing import show_fields, show_json
from ajobs.client.client import Client
from ajobs.client.storage.task_store import StoreInfo
from ajobs.protocol.durations import as_ns


async def print_store(client: Client, *, json: bool) -> None:
    """Load the settings and size of the task store and print them."""
    store = await client.store_info()
    if json:
        show_json(store_document(store))
    else:
        show_store(store)


def show_store(store: StoreInfo) -> None:
    """Print the settings and size of the task store."""
    kept = f"{duration_text(as_ns(store.retention))} after the last change" if store.retention else "without limit"
    show_fields(
        "Task store",
        [
            ("Tasks", count_text(store.tasks)),
            ("Size", f"{size_text(store.size_bytes)} in {'memory' if store.memory else 'files'}"),
            ("Replicas", str(store.replicas)),
            ("Retention", kept),
            ("Created", when_text(store.created)),
            ("First change", when_text(store.first_change)) if store.tasks else None,
            ("Last change", when_text(store.last_change)),
        ],
    )
