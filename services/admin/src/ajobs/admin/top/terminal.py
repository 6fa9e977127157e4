"""The keys, signals and size changes of a terminal while a screen is shown on it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

_ESCAPED = re.compile(rb"\x1b(?:\[[0-9;?]*[@-~]?|O.?|.)?", re.DOTALL)
"""Escape sequences, such as those of arrow keys."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def letters(typed: bytes) -> str:
    """Return typed text without escape sequences."""
    return _ESCAPED.sub(b"", typed).decode(errors="ignore")


@contextmanager
def keys(pressed: Callable[[str], None]) -> Generator[None]:
    """Call ``pressed`` with each key while the block runs. Keys are not echoed.

    The settings of the terminal are restored afterwards. Without a terminal there are no keys.
    """
    if not sys.stdin.isatty():
        yield
        return
    import termios  # not available on Windows
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    during = termios.tcgetattr(descriptor)
    # Ctrl-Z would leave this screen on the terminal of the shell.
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
def signals(stop: Callable[[signal.Signals], None], resized: Callable[[], None]) -> Generator[None]:
    """Call ``stop`` when this process must end, and ``resized`` when the size of its terminal changes."""
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, stop, number)
    loop.add_signal_handler(signal.SIGWINCH, resized)
    try:
        yield
    finally:
        for number in (*SIGNALS, signal.SIGWINCH):
            loop.remove_signal_handler(number)
