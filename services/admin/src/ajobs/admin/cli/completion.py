"""``ajc completion`` and ``--install-completion``: have a shell complete commands and options."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from cyclopts import App

from ajobs.admin.text.output import say
from ajobs.protocol.errors import ConfigurationError

Shell = Literal["bash", "zsh", "fish"]
_SHELLS: tuple[Shell, ...] = ("bash", "zsh", "fish")


def completion(shell: Shell | None = None, /) -> None:
    """Print what a shell completes with: eval "$(ajc completion bash)".

    Parameters
    ----------
    shell
        The shell. Default: what SHELL says.
    """
    say(_app().generate_completion(shell=shell or _own_shell()))


def install_completion(*, shell: Shell | None = None, output: Path | None = None) -> None:
    """Install what a shell completes with, where it looks for it, and say where that is.

    Parameters
    ----------
    shell
        The shell. Default: what SHELL says.
    output
        Write it to this file, and leave the shell's own files alone.
    """
    try:
        path = _app().install_completion(shell=shell or _own_shell(), output=output, add_to_startup=output is None)
    except OSError as e:
        raise ConfigurationError(f"cannot write {e.filename}: {e.strerror}; use --output FILE") from e
    say(f"installed {path}; begin a new shell to use it")


def _own_shell() -> Shell:
    name = Path(os.environ.get("SHELL", "")).name
    for shell in _SHELLS:
        if shell == name:
            return shell
    raise ConfigurationError(f"SHELL says {name or 'nothing'}: name one of {', '.join(_SHELLS)}")


def _app() -> App:
    """Return all commands, without their names of one letter: nobody completes those, and they double the length."""
    from ajobs.admin.cli.main import COMMANDS, ajc, app  # it mounts this module

    root = App(name="ajc", help=app.help)
    root.meta.default(ajc)
    for command in COMMANDS:
        names = (command.name, *(alias for alias in command.aliases if len(alias) > 1))
        root.command(app[command.name], name=names)
    return root
