"""The options of every command: each has help text, and a variable has one meaning in all programs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from cyclopts import App

from ajobs.admin import provision
from ajobs.admin.cli import main as ajc
from ajobs.scheduler import main as scheduler
from ajobs.worker.process import main as worker

PROGRAMS = {
    "ajobs-worker": worker.app,
    "ajobs-scheduler": scheduler.app,
    "ajc": ajc.app.meta,
    "provision": provision.app,
}
DIFFERENT = {
    "AJ_QUEUE": "the queues of a worker, and the default queue of the HTTP API",
    "AJ_MAX_RUN_TIME": "a worker's default is the queue's own, and provisioning has another help text",
    "AJ_WORK_QUEUE": "`ajc dev` takes one queue",
}
"""Variables whose options differ between programs, with the difference."""


class Option(NamedTuple):
    command: str
    name: str
    variables: tuple[str, ...]
    help: str
    type: str
    default: Any


def options_of(app: App, command: str) -> Iterator[Option]:
    """Yield the options and arguments of a program, and of all its commands."""
    if app.default_command is not None:
        for argument in app.assemble_argument_collection(parse_docstring=True):
            if argument.children or not argument.parse or not argument.show:
                continue
            parameter = argument.parameter
            yield Option(
                command,
                argument.name,
                tuple(parameter.env_var or ()),
                parameter.help or "",
                str(argument.hint),
                argument.field_info.default,
            )
    for name in app:
        if not name.startswith("-"):
            yield from options_of(app[name], f"{command} {name}")


ALL = [option for name, app in PROGRAMS.items() for option in options_of(app, name)]
ALL += [option for name in ajc.app if not name.startswith("-") for option in options_of(ajc.app[name], f"ajc {name}")]


def test_options_of_all_programs_are_found():
    found = {(option.command, option.name) for option in ALL}
    expected = {("ajobs-worker", "--concurrency"), ("ajobs-scheduler", "--server"), ("ajc server run", "--monitor")}
    assert expected <= found
    assert len(ALL) > 200


def test_every_option_has_help_text():
    assert not [f"{option.command} {option.name}" for option in ALL if not option.help.strip()]


def first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]


def command_lines(app: App, command: str) -> Iterator[tuple[str, str]]:
    """Yield each command below an app with the first line of its help."""
    for name in app:
        if not name.startswith("-") and app[name].name[0] == name:
            yield f"{command} {name}", first_line(app[name].help)
            yield from command_lines(app[name], f"{command} {name}")


COMMANDS = list(command_lines(ajc.app, "ajc"))


@pytest.mark.parametrize(("command", "line"), COMMANDS, ids=[command for command, _ in COMMANDS])
def test_the_help_of_a_command_starts_with_one_short_sentence(command: str, line: str):
    assert line[:1].isupper(), command
    assert line.endswith("."), command
    assert len(line) <= 60, command


def functions(app: App) -> Iterator[App]:
    """Yield each command below an app that is a function."""
    for name in app:
        if not name.startswith("-"):
            yield from [app[name]] if app[name].default_command else functions(app[name])


def test_a_page_of_help_starts_as_the_lists_of_commands_say():
    differing = [each.name[0] for each in functions(ajc.app) if first_line(each.default_command.__doc__) != each.help]
    assert differing == []


def test_no_environment_variable_means_two_things():
    meanings = defaultdict(set)
    for option in ALL:
        for variable in option.variables:
            if variable.startswith("AJ_") and variable not in DIFFERENT:
                meanings[variable].add((option.type, option.default))
    assert {name: found for name, found in meanings.items() if len(found) > 1} == {}


@pytest.mark.parametrize("variable", sorted(DIFFERENT))
def test_the_exceptions_are_still_needed(variable):
    kinds = {(option.type, option.default) for option in ALL if variable in option.variables}
    assert len(kinds) > 1
