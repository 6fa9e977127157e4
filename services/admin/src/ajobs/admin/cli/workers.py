"""``ajc workers``: the commands of the group."""

from __future__ import annotations

from ajobs.admin.cli.commands import LazyCommand, group

app = group(
    "workers",
    "Show workers.",
    LazyCommand("list", ("ls",), "workers_list:list_", "List running workers."),
)
