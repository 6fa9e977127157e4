"""The command ``ajc``: its root, the global options, and errors.

Adding a command
----------------
A command is one file with one function. It takes one line in the table of its group, or in `COMMANDS` below: its name,
other names, the place as ``module:attribute``, and the first line of its help. The file is imported only when the
command runs, so ``ajc --help`` stays fast.

A command is a plain function or a coroutine function. It returns nothing or its exit status, and raises `AjobsError`
for everything that can go wrong. `ajobs.runtime.command` prints the error and chooses the exit status.

Building blocks:

- `ajobs.admin.cli.session.connect`: a client that is connected with the global options. Global options (``--context``,
  ``--server``, ``--debug``, ``--sign``, ``--verify``) are accepted before and after the name of a command.
- `ajobs.admin.cli.arguments`: types of parameters: ``Duration``, ``Json``, ``Csv``, ``Force``, ...
- `ajobs.admin.cli.filters`: the options that select tasks.
- `ajobs.admin.text`: lines, fields, JSON, tables, prompts, progress bars, sizes, durations and ages.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version as version_of
from inspect import iscoroutine, isfunction
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Group, Parameter

from ajobs.admin.cli import session
from ajobs.admin.cli.commands import DEFAULTS, LazyCommand
from ajobs.admin.cli.help_pages import HelpPages
from ajobs.admin.text.payloads import STDIN
from ajobs.runtime.command import OK, Program
from ajobs.runtime.environment import normalize_environment

COMMANDS = (
    LazyCommand("completion", (), "completion:completion", "Print a shell completion script."),
    LazyCommand("dev", (), "dev:dev", "Run a local development stack until Ctrl-C."),
    LazyCommand("doctor", (), "doctor:doctor", "Check for known problems and print remedies."),
    LazyCommand("info", (), "info:info", "Show the task store, schedules, leaders and queues."),
    LazyCommand("package", ("pkg",), "package:app", "Package handlers into containers."),
    LazyCommand("queues", ("queue", "q"), "queues:app", "Create, show, change, pause, empty and delete queues."),
    LazyCommand("schedules", ("schedule",), "schedules:app", "Manage schedules, which create tasks at times."),
    LazyCommand("server", (), "server:app", "Run the HTTP API, and create tokens for it."),
    LazyCommand("tasks", ("task", "t"), "tasks:app", "Add, show, wait for, retry, delete and run tasks."),
    LazyCommand("top", (), "top:top", "Watch queues, workers, rates and failures live."),
    LazyCommand("workers", ("worker",), "workers:app", "Show workers."),
)
"""All commands, in the order of their names."""

app = App(
    name="ajc",
    help="Operate ajobs: tasks, queues, schedules and workers.",
    version=lambda: version_of("ajobs-admin"),
    default_parameter=DEFAULTS,
    help_formatter=HelpPages(),
    help_format="plaintext",  # a cron expression is not Markdown, and the Markdown parser is slow to import
)
for command in (
    *COMMANDS,
    LazyCommand("--install-completion", (), "completion:install_completion", "Install a shell completion script."),
):
    command.mount(app)

_GLOBAL = Parameter(group=Group("Global options", sort_key=100))


@app.meta.default
def ajc(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    context: Annotated[str | None, _GLOBAL, Parameter(env_var="CONTEXT")] = None,
    server: Annotated[str | None, _GLOBAL] = None,
    sign: Annotated[str | None, _GLOBAL] = None,
    verify: Annotated[str | None, _GLOBAL] = None,
    debug: Annotated[bool, _GLOBAL, Parameter(env_var="AJC_DEBUG")] = False,
) -> int:
    """Operate ajobs: tasks, queues, schedules and workers.

    Parameters
    ----------
    context
        Context of the nats command line. Default: NATS_URL, else the context AJC if it exists, else the selected
        context, else nats://127.0.0.1:4222.
    server
        URL of a NATS server. Overrides that of the context and NATS_URL.
    sign
        Seed that signs new tasks: hex, or a file with it.
    verify
        Public key that verifies tasks: hex, or a file with it.
    debug
        Log everything, and print the traceback of an error.
    """
    session.use(
        session.GlobalOptions(context=context or None, server=server or None, sign=sign, verify=verify, debug=debug)
    )
    return _call(*_parsed(app, tokens))


def _parsed(parser: App, tokens: Sequence[str]) -> tuple[Callable[..., Any], Any]:
    command, bound, _ = parser.parse_args(tokens, exit_on_error=False, print_error=False)
    return command, bound


def _call(command: Callable[..., Any], bound: Any) -> int:
    result = command(*bound.args, **bound.kwargs)
    if iscoroutine(result):
        from ajobs.runtime.program import run_program  # slow to import, and needed only to connect

        result = run_program(result)
    return result if isinstance(result, int) else OK


_INSTEAD = {"storage_not_ready": "this server has no task store: create it with ajc task initialize"}
"""Texts by the reason of an error, where its own text is meant for programmers."""


PROGRAM = Program("ajc", debug=lambda: session.options().debug, texts=_INSTEAD, is_service=False)


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit status. `ajobs.runtime.command` prints failures."""
    words = [STDIN if word == "-" else word for word in arguments]
    if not {"--help", "-h"}.isdisjoint(words):
        _show_whole_docstring(words)
    return PROGRAM.run(lambda: _call(*_parsed(app.meta, words)))


def _show_whole_docstring(words: Sequence[str]) -> None:
    # A mounted command has the first line of its help only, so that lists of commands need no imports.
    with suppress(CycloptsError):
        for command in app.meta.parse_commands(words)[1]:
            if isfunction(command.default_command) and command is not app.meta:
                command.help = command.default_command.__doc__


def main() -> None:
    """Run the command with the arguments of this process."""
    normalize_environment(os.environ)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
