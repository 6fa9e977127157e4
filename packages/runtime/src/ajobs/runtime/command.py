"""Run a command line, print its failure in one line, and return its exit status.

=========  ==================================================================
status     meaning
=========  ==================================================================
0          success, or the status that the command returned
1          failed
2          invalid usage: an argument, an option or a configuration file
130        interrupted by Ctrl-C, as shells expect it
141        the reader of the output closed the pipe, as shells expect it
=========  ==================================================================

A command raises `AjobsError`, and nothing else, for a failure that its user can understand.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from typing import NamedTuple

from cyclopts import App, CycloptsError, UnusedCliTokensError

from ajobs.protocol.errors import AjobsError, DuplicateHandlerError

OK = 0
FAILED = 1
USAGE_ERROR = 2
INTERRUPTED = 130
PIPE_CLOSED = 141


def logs_debug() -> bool:
    """Return whether this process logs at level debug."""
    return logging.getLogger().isEnabledFor(logging.DEBUG)


class Program(NamedTuple):
    """How a program reports its failures."""

    name: str
    """The command that was typed, which starts each line."""
    debug: Callable[[], bool] = logs_debug
    """Returns whether to print the traceback of a failure. Called after the command has parsed its options."""
    texts: Mapping[str, str] = {}
    """Texts by an error's ``reason``, where its own text speaks to those who write programs."""
    is_service: bool = True
    """Whether an unexpected error prints its traceback unasked: a service's failure may not come back."""

    def run(self, command: Callable[[], object]) -> int:
        """Call the command and return its exit status. A failure is printed to the error output in one line."""
        try:
            result = command()
            sys.stdout.flush()
        except CycloptsError as e:
            place = " ".join((self.name, *(e.command_chain or ())))
            return self._fail(f"{_usage_text(e)}; see {place} --help", USAGE_ERROR)
        except AjobsError as e:
            if self.debug():
                _print_traceback()
            return self._fail(self.texts.get(e.reason) or _one_line(e), _status_of(e))
        except KeyboardInterrupt:
            return INTERRUPTED
        except BrokenPipeError:
            # Python flushes once more at exit, which must not fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return PIPE_CLOSED
        except Exception as e:
            return self._fail_unexpectedly(e)
        return result if isinstance(result, int) else OK

    def _fail_unexpectedly(self, error: Exception) -> int:
        text = f"internal error in {self.name} ({type(error).__name__}: {_one_line(error)})"
        if self.is_service or self.debug():
            _print_traceback()
            return self._fail(f"{text}: report the output", FAILED)
        return self._fail(f"{text}: rerun with --debug and report the output", FAILED)

    def _fail(self, text: str, status: int) -> int:
        print(f"{self.name}: {text}", file=sys.stderr)  # noqa: T201 - for the person at the terminal
        return status


def run_app(app: App, program: Program, arguments: list[str]) -> int:
    """Parse the arguments of a program with a single command, run it, and return its exit status."""

    def command() -> object:
        function, bound, _ = app.parse_args(arguments, exit_on_error=False, print_error=False)
        return function(*bound.args, **bound.kwargs)

    return program.run(command)


def _status_of(error: AjobsError) -> int:
    # Two handlers for one task type are a mistake in the router that the command line named.
    is_usage = error.code == "invalid_argument" or isinstance(error, DuplicateHandlerError)
    return USAGE_ERROR if is_usage else FAILED


def _usage_text(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError):
        return f"unexpected argument {' '.join(map(repr, error.unused_tokens or ()))}"
    return _one_line(error).partition(" Available commands:")[0].rstrip(".")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _print_traceback() -> None:
    import traceback  # rarely needed, and slow to import

    traceback.print_exc()
