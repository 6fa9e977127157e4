"""``ajc server``: the commands of the group."""

from __future__ import annotations

from ajobs.admin.cli.commands import LazyCommand, group

app = group(
    "server",
    "Run the HTTP API, and create tokens for it.",
    LazyCommand("run", (), "server_run:run", "Run the HTTP API until SIGTERM or Ctrl-C."),
    LazyCommand("token", (), "server_token:token", "Create a token for the HTTP API."),
)
