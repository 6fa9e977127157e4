"""``ajc schedules`` and ``ajc tasks cron``: the commands of the group, under both names."""

from __future__ import annotations

from ajobs.admin.cli.commands import LazyCommand, group

COMMANDS = (
    LazyCommand("add", ("new", "a"), "schedules_add:add", "Create a schedule."),
    LazyCommand("delete", ("del", "rm"), "schedules_delete:delete", "Delete a schedule."),
    LazyCommand("list", ("ls",), "schedules_list:list_", "List all schedules."),
    LazyCommand("next", (), "schedules_next:next_", "Show the next ticks of one schedule or all."),
    LazyCommand("pause", (), "schedules_pause:pause", "Pause a schedule."),
    LazyCommand("resume", (), "schedules_resume:resume", "Resume a paused schedule."),
    LazyCommand("run", (), "schedules_run:run", "Create a task of a schedule now and print its ID."),
    LazyCommand("scheduler", (), "schedules_scheduler:scheduler", "Run a scheduler until it is stopped."),
    LazyCommand("sign", (), "schedules_sign:sign", "Sign a schedule with the seed of --sign."),
    LazyCommand("update", (), "schedules_update:update", "Change settings of a schedule."),
    LazyCommand("view", ("show", "v"), "schedules_view:view", "Show a schedule and its next ticks."),
)

app = group("schedules", "Manage schedules, which create tasks at times.", *COMMANDS)
cron = group("cron", "Manage schedules. The same as ajc schedules.", *COMMANDS)
