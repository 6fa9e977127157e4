"""``ajc tasks``: the commands of the group."""

from __future__ import annotations

from ajobs.admin.cli.commands import LazyCommand, group

app = group(
    "tasks",
    "Add, show, wait for, retry, delete and run tasks.",
    LazyCommand("add", ("new", "a", "enqueue"), "tasks_add:add", "Add a task and print its ID, or add many."),
    LazyCommand("configure", ("config", "cfg"), "tasks_configure:configure", "Change the settings of the task store."),
    LazyCommand("cron", ("c",), "schedules:cron", "Manage schedules. The same as ajc schedules."),
    LazyCommand("delete", ("del", "rm"), "tasks_delete:delete", "Delete tasks by ID, or all that match filters."),
    LazyCommand("initialize", (), "tasks_initialize:initialize", "Create missing stores."),
    LazyCommand("list", ("ls",), "tasks_list:list_", "List tasks."),
    LazyCommand("process", (), "tasks_process:process", "Run tasks with a program or a NATS service."),
    LazyCommand("purge", (), "tasks_purge:purge", "Delete all tasks."),
    LazyCommand("result", (), "tasks_result:result", "Wait for a task and print its result."),
    LazyCommand("retry", (), "tasks_retry:retry", "Retry tasks by ID, or all that match filters."),
    LazyCommand("view", ("show", "v", "info", "i"), "tasks_view:view", "Show a task."),
    LazyCommand("wait", (), "tasks_wait:wait", "Wait until tasks are finished."),
    LazyCommand("watch", (), "tasks_watch:watch", "Show state changes of tasks as they happen."),
)
