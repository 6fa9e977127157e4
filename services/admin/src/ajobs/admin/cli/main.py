"""The command ``ajc``: its root, what holds for all of its commands, and where each of them is.

How a command is mounted
------------------------
A command, or a group of them, is a module of this package that is imported only when it is asked for, so that
``ajc --help`` stays quick. It takes one line in `COMMANDS`: the name that the help shows, other names, the place as
``module:attribute``, and a line of help. Below a group that is mounted, `Command.mount` does the same.

- A group of commands has a cyclopts ``App`` there, made with `group`, whose name is the one in the table::

      app = group("queues", "Manage queues.")

      @app.command(name="list", alias="ls")
      async def list_(*, json: Json = False) -> None:
          async with connect() as client:
              ...

- A single command has a function there.

A command is a plain function or a coroutine function, which runs on the fastest loop there is. It returns nothing, or
its exit status. It raises `AjobsError` and nothing else for what goes wrong: the text is printed as one line after
``ajc:``, so it says what to do; the status is 2 when the error's code is ``invalid_argument``, else 1. Arguments that
cyclopts refuses end the same way, with 2. Ctrl-C ends with 130, a closed pipe with 141, as shells expect it.

What there is to build on:

- `ajobs.admin.cli.session.connect`: a client, connected as the global options say. Global options (``--context``,
  ``--server``, ``--debug``, ``--sign``, ``--verify``) are taken before and after a command's name, unless the command
  has one by that name itself, and are found with ``session.options()``.
- `ajobs.admin.cli.arguments`: types of parameters: ``Duration``, ``Json``, ``Csv``, ``Force``, ...
- `ajobs.admin.text.output`: tables, fields, JSON and CSV, on a terminal and piped.
- `ajobs.admin.text.prompts`: a question before something is destroyed, and progress bars.
- `ajobs.admin.text.human`: sizes, durations, ages.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version as version_of
from inspect import iscoroutine
from typing import Annotated, Any

from cyclopts import App, Group, Parameter

from ajobs.admin.cli import session
from ajobs.admin.cli.arguments import DEFAULTS, STDIN, Command
from ajobs.admin.cli.pages import HelpPages
from ajobs.runtime.command import OK, Program
from ajobs.runtime.environment import normalize_environment

COMMANDS = (
    Command("completion", (), "completion:completion", "Print what a shell completes commands with."),
    Command("dev", (), "dev:dev", "Run everything on this machine, for development."),
    Command("doctor", (), "doctor:doctor", "Look for what goes wrong, and say what to do."),
    Command("info", (), "info:info", "Show the stores, all queues, and who leads."),
    Command("package", ("pkg",), "package:app", "Pack handlers into containers."),
    Command("queues", ("queue", "q"), "queues:app", "Make, look at, change, pause, empty and delete queues."),
    Command("schedules", ("schedule",), "schedules:app", "Manage schedules: tasks that are made again and again."),
    Command("server", (), "server:app", "Run the HTTP API, and make tokens for it."),
    Command("tasks", ("task", "t"), "tasks:app", "Add, look at, wait for, retry, delete and run tasks."),
    Command("top", (), "top:top", "Watch queues, workers, rates and failures on a live screen."),
    Command("workers", ("worker",), "workers:app", "Look at workers."),
)
"""All commands, in the order of their names."""

app = App(
    name="ajc",
    help="Operate ajobs: tasks, queues, schedules and workers.",
    version=lambda: version_of("ajobs-admin"),
    default_parameter=DEFAULTS,
    help_formatter=HelpPages(),
    help_format="plaintext",  # a cron text is no Markdown, and what reads that takes time
)
for command in COMMANDS:
    command.mount(app)
Command(
    "--install-completion", (), "completion:install_completion", "Install what a shell completes commands with."
).mount(app)

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
        Name of a context of the nats command line. Default: what NATS_URL says, else AJC when there is one, else the
        selected one, else the loopback address.
    server
        URL of a NATS server, instead of that of the context or NATS_URL.
    sign
        Sign new tasks with this seed, in hex, or a file of it.
    verify
        Tasks have to be signed with this public key, in hex, or a file of it.
    debug
        Log all that happens, and where an error comes from.
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
        from ajobs.runtime.program import run_program  # takes time that only those need who connect

        result = run_program(result)
    return result if isinstance(result, int) else OK


_INSTEAD = {"storage_not_ready": "there is no task store on this server: make it with ajc task initialize"}
"""What to tell by an error's reason, where its own text speaks to those who write programs."""

PROGRAM = Program("ajc", debug=lambda: session.options().debug, texts=_INSTEAD, is_service=False)


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit status. Failures are printed as `ajobs.runtime.command` says."""
    return PROGRAM.run(lambda: _call(*_parsed(app.meta, [STDIN if word == "-" else word for word in arguments])))


def main() -> None:
    """Run the command with the arguments of this process."""
    normalize_environment(os.environ)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
