"""Help pages: those of cyclopts without the ``--no-`` forms of switches, as plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclopts.help import DefaultFormatter, HelpPanel
    from rich.console import Console, ConsoleOptions


class HelpPages:
    """Prints help pages."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Print one panel of a page."""
        entries = [entry.copy(negative_names=()) for entry in panel.entries]
        for entry in entries:
            _unwrap(entry.description)
        _formatter()(console, options, panel.copy(entries=entries))

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:
        """Print the usage of a command."""
        _formatter().render_usage(console, options, usage)

    def render_description(self, console: Console, options: ConsoleOptions, description: Any) -> None:
        """Print the description of a command."""
        _formatter().render_description(console, options, description)


def _formatter() -> DefaultFormatter:
    from cyclopts.help import DefaultFormatter  # slow to import, and needed for help pages only

    return DefaultFormatter()


def _unwrap(description: Any) -> None:
    """Replace the line breaks of a docstring with spaces."""
    from rich.text import Text  # slow to import, and needed for help pages only

    text = getattr(description, "primary_renderable", None)
    if isinstance(text, Text):
        text.plain = text.plain.replace("\n", " ")
