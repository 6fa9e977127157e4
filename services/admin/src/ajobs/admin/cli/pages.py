"""Help pages: cyclopts' own, without the ``--no-`` form that each switch has too, and as plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclopts.help import DefaultFormatter, HelpPanel
    from rich.console import Console, ConsoleOptions


class HelpPages:
    """Prints help pages."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Print a part of a page."""
        entries = [entry.copy(negative_names=()) for entry in panel.entries]
        for entry in entries:
            _unwrap(entry.description)
        _formatter()(console, options, panel.copy(entries=entries))

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:
        """Print how a command is written."""
        _formatter().render_usage(console, options, usage)

    def render_description(self, console: Console, options: ConsoleOptions, description: Any) -> None:
        """Print what a command does."""
        _formatter().render_description(console, options, description)


def _formatter() -> DefaultFormatter:
    from cyclopts.help import DefaultFormatter  # only a help page needs it

    return DefaultFormatter()


def _unwrap(description: Any) -> None:
    """Take the line breaks of a docstring out of a description."""
    from rich.text import Text  # likewise

    text = getattr(description, "primary_renderable", None)
    if isinstance(text, Text):
        text.plain = text.plain.replace("\n", " ")


def default_text(value: Any) -> Any:
    """Return a default for the help, and none for what a reader expects anyhow: off, nothing, empty."""
    return None if value is False or value in (None, (), "") else value
