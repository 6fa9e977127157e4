"""A terminal of a fixed size for a program under test: a pseudo-terminal, and the screen of an emulator."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pyte

from tests import ROOT

TO_ALTERNATE, FROM_ALTERNATE = b"\x1b[?1049h", b"\x1b[?1049l"
HIDE_CURSOR, SHOW_CURSOR = b"\x1b[?25l", b"\x1b[?25h"


class Terminal:
    """A program on a terminal."""

    def __init__(self, master: int, slave: int, process: subprocess.Popen[bytes], width: int, height: int) -> None:
        self._master = master
        self._slave = slave
        self.process = process
        self._screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self._screen)
        self._changed = asyncio.Event()
        self._settings = termios.tcgetattr(slave)
        self.output = b""
        asyncio.get_running_loop().add_reader(master, self._read)

    def _read(self) -> None:
        data = os.read(self._master, 65_536)
        self.output += data
        self._stream.feed(data)
        self._changed.set()

    @property
    def lines(self) -> list[str]:
        return list(self._screen.display)

    async def wait(self, wanted: Callable[[str], bool] | str) -> str:
        """Wait until the screen has a text, or is as wanted, and return it."""
        found = (lambda text: wanted in text) if isinstance(wanted, str) else wanted
        try:
            async with asyncio.timeout(60):
                while not found(text := "\n".join(self.lines)):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError("\n".join(self.lines)) from None
        return text

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def resize(self, width: int, height: int) -> None:
        self._screen.resize(height, width)
        set_size(self._slave, width, height)

    async def ended(self) -> int:
        async with asyncio.timeout(60):
            return await asyncio.to_thread(self.process.wait)

    def is_restored(self) -> bool:
        """Return whether the program left the terminal as it found it."""
        left = self.output.rfind(FROM_ALTERNATE) > self.output.rfind(TO_ALTERNATE) > -1
        shown = self.output.rfind(SHOW_CURSOR) > self.output.rfind(HIDE_CURSOR) > -1
        return left and shown and termios.tcgetattr(self._slave) == self._settings

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)


def set_size(descriptor: int, width: int, height: int) -> None:
    """Change the size; the processes of the terminal's foreground are told by a signal."""
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


@asynccontextmanager
async def on_terminal(
    module: str, *arguments: str, width: int, height: int, **environment: str
) -> AsyncGenerator[Terminal]:
    master, slave = pty.openpty()
    set_size(slave, width, height)
    kept = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
    process = _start(slave, [module, *arguments], kept | {"TERM": "xterm-256color"} | environment)
    terminal = Terminal(master, slave, process, width, height)
    try:
        yield terminal
    finally:
        terminal.close()


def _start(slave: int, arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        # A session of its own, whose terminal this becomes: Ctrl-C and changes of size come as signals.
        [sys.executable, "-m", "services.admin.tests.integration.terminals", *arguments],
        cwd=ROOT, env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
    )  # fmt: skip


def main() -> None:
    """Take the terminal, which a process can only do for itself, and become the program."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.execv(sys.executable, [sys.executable, "-m", *sys.argv[1:]])


if __name__ == "__main__":
    main()
