"""How commands are declared: groups, and commands that are imported only when they run.

A command line that shows help or runs one command must not import the others, because the client, asyncio and rich take
longer to load than most commands take to run.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from cyclopts import App, Parameter

from ajobs.runtime.options import default_text

DEFAULTS = Parameter(negative_iterable=(), show_default=default_text)
"""Settings of every parameter that does not set its own."""


class LazyCommand(NamedTuple):
    """A command, or a group of commands, that is imported when it is used."""

    name: str
    aliases: tuple[str, ...]
    place: str
    """The function or app, as ``module:attribute`` of this package."""
    help: str

    def mount(self, app: App) -> None:
        """Add the command to an app."""
        app.command(f"ajobs.admin.cli.{self.place}", name=self.name, alias=self.aliases, help=self.help)


def group(name: str, text: str, *commands: LazyCommand, **settings: Any) -> App:
    """Return the app of a group of commands."""
    app = App(name=name, help=text, default_parameter=DEFAULTS, **settings)
    for command in commands:
        command.mount(app)
    return app
