"""The keyboard and the size of the terminal, for as long as a screen is shown on it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

_ESCAPED = re.compile(rb"\x1b(?:\[[0-9;?]*[@-~]?|O.?|.)?", re.DOTALL)
"""What arrow keys and the like send."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def letters(typed: bytes) -> str:
    """Return what was typed without the sequences that other keys send."""
    return _ESCAPED.sub(b"", typed).decode(errors="ignore")


@contextmanager
def keys(pressed: Callable[[str], None]) -> Generator[None]:
    """Have ``pressed`` called with each key as soon as it is, while the block runs; nothing is echoed.

    The terminal is as it was afterwards. Where the input is no terminal there are no keys.
    """
    if not sys.stdin.isatty():
        yield
        return
    import termios  # not there on Windows
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    during = termios.tcgetattr(descriptor)
    # To be stopped by Ctrl-Z would leave our screen behind for the shell.
    during[6][termios.VSUSP] = b"\0"
    termios.tcsetattr(descriptor, termios.TCSANOW, during)
    loop = asyncio.get_running_loop()

    def read() -> None:
        typed = os.read(descriptor, 64)
        if not typed:
            loop.remove_reader(descriptor)
        for key in letters(typed):
            pressed(key)

    loop.add_reader(descriptor, read)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextmanager
def signals(told: Callable[[signal.Signals], None], resized: Callable[[], None]) -> Generator[None]:
    """Have ``told`` called when this process is to end, and ``resized`` when its terminal has another size."""
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, told, number)
    loop.add_signal_handler(signal.SIGWINCH, resized)
    try:
        yield
    finally:
        for number in (*SIGNALS, signal.SIGWINCH):
            loop.remove_signal_handler(number)
