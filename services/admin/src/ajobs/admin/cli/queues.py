"""``ajc queues``: the commands of the group."""

from __future__ import annotations

from ajobs.admin.cli.commands import LazyCommand, group

app = group(
    "queues",
    "Create, show, change, pause, empty and delete queues.",
    LazyCommand("configure", ("config", "cfg"), "queues_configure:configure", "Change settings of a queue."),
    LazyCommand("delete", ("rm",), "queues_delete:delete", "Delete a queue and its items."),
    LazyCommand("info", ("view", "i"), "queues_info:info", "Show the settings and counts of a queue."),
    LazyCommand("list", ("ls",), "queues_list:list_", "List all queues."),
    LazyCommand("new", ("add", "n", "a"), "queues_new:new", "Create a queue."),
    LazyCommand("pause", (), "queues_pause:pause", "Pause delivery to all workers."),
    LazyCommand("purge", (), "queues_purge:purge", "Remove all items from a queue."),
    LazyCommand("resume", (), "queues_resume:resume", "Resume delivery of a paused queue."),
)
