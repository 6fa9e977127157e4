"""How a program ends: its exit status, and the line that it prints for a failure."""

from __future__ import annotations

from typing import Annotated

import pytest
from cyclopts import App, Parameter

from ajobs.protocol.errors import ConfigurationError, DuplicateHandlerError, TaskNotFoundError
from ajobs.runtime.command import Program, run_app


def ends_with(error: BaseException, **program) -> int:
    def command() -> None:
        raise error

    return Program("prog", **program).run(command)


@pytest.mark.parametrize(("result", "status"), [(None, 0), (0, 0), (3, 3), ("text", 0)])
def test_a_command_that_returns_a_number_ends_with_it(result, status):
    assert Program("prog").run(lambda: result) == status


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ConfigurationError("invalid replicas 7:\n use 1 to 5"), 2, "prog: invalid replicas 7: use 1 to 5"),
        (DuplicateHandlerError("twice"), 2, "prog: twice"),
        (TaskNotFoundError("task 1 not found"), 1, "prog: task 1 not found"),
    ],
)
def test_an_expected_failure_is_one_line(capsys, error, status, line):
    assert ends_with(error) == status
    assert capsys.readouterr().err == line + "\n"


def test_a_program_has_its_own_text_for_a_reason(capsys):
    assert ends_with(TaskNotFoundError("x"), texts={"task_not_found": "better"}) == 1
    assert capsys.readouterr().err == "prog: better\n"


def test_debug_prints_the_traceback_above_the_line(capsys):
    assert ends_with(TaskNotFoundError("gone"), debug=lambda: True) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback")
    assert printed.endswith("prog: gone\n")


def test_an_unexpected_error_asks_for_a_report(capsys):
    assert ends_with(RuntimeError("boom"), is_service=False) == 1
    line = "prog: internal error in prog (RuntimeError: boom): rerun with --debug and report the output\n"
    assert capsys.readouterr().err == line


def test_a_service_prints_the_traceback_of_an_unexpected_error_unasked(capsys):
    assert ends_with(RuntimeError("boom")) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback")
    assert printed.endswith("prog: internal error in prog (RuntimeError: boom): report the output\n")


def test_ctrl_c_ends_with_130(capsys):
    assert ends_with(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--nope"], "Unknown option: --nope; see prog --help"),
        (["a", "b"], "unexpected argument 'b'; see prog --help"),
        (["a", "--count", "x"], "see prog --help"),
    ],
)
def test_invalid_usage_ends_with_2_and_names_the_help(capsys, arguments, text):
    app = App(name="prog")

    @app.default
    def command(word: str = "", *, count: Annotated[int, Parameter(help="A number.")] = 0) -> None:
        """Do something."""

    assert run_app(app, Program("prog"), arguments) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert text in printed
