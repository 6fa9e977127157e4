"""``ajc package``: the commands of the group."""

from __future__ import annotations

from ajobs.admin.cli.commands import LazyCommand, group

app = group(
    "package",
    "Package handlers into containers.",
    LazyCommand("docker", (), "package_docker:docker", "Write a Dockerfile for a worker and its handlers."),
)
