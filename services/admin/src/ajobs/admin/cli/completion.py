"""``ajc completion`` and ``--install-completion``: completion of commands and options in a shell."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from cyclopts import App

from ajobs.admin.text.printing import say
from ajobs.protocol.errors import ConfigurationError

Shell = Literal["bash", "zsh", "fish"]
_SHELLS: tuple[Shell, ...] = ("bash", "zsh", "fish")


def completion(shell: Shell | None = None, /) -> None:
    """Print a shell completion script.

    Enable it with: eval "$(ajc completion bash)"

    Parameters
    ----------
    shell
        Shell. Default: that of the variable SHELL.
    """
    say(_app().generate_completion(shell=shell or _own_shell()))


def install_completion(*, shell: Shell | None = None, output: Path | None = None) -> None:
    """Install a shell completion script and print its path.

    Parameters
    ----------
    shell
        Shell. Default: that of the variable SHELL.
    output
        File to write. Default: the place where the shell looks, which is added to its startup file.
    """
    try:
        path = _app().install_completion(shell=shell or _own_shell(), output=output, add_to_startup=output is None)
    except OSError as e:
        raise ConfigurationError(f"cannot write {e.filename}: {e.strerror}; choose another file with --output") from e
    say(f"installed {path}: start a new shell to use it")


def _own_shell() -> Shell:
    name = Path(os.environ.get("SHELL", "")).name
    for shell in _SHELLS:
        if shell == name:
            return shell
    raise ConfigurationError(f"unknown shell {name!r} in SHELL: pass one of {', '.join(_SHELLS)}")


def _app() -> App:
    """Return all commands without aliases of one letter, which would double the length of the script."""
    from ajobs.admin.cli.main import COMMANDS, ajc, app  # it imports this module by name

    root = App(name="ajc", help=app.help)
    root.meta.default(ajc)
    for command in COMMANDS:
        names = (command.name, *(alias for alias in command.aliases if len(alias) > 1))
        root.command(app[command.name], name=names)
    return root
