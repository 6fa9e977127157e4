"""Refresh the command output on a documentation page by running each command of the page.

``python -m scripts.page docs/ajc.md`` runs the lines that start with ``$`` in ``console`` blocks, in order, on a
terminal of 110 columns. The page gets a temporary folder and nats-server. A block can have a directive above it:

``<!-- file: NAME -->``
    Write the block to a file instead of running it.
``<!-- until: TEXT -->``
    Leave the command running in the background once it has printed the text.
``<!-- meanwhile: COMMAND -->``
    Run this command once the block's command has printed its first line.
``<!-- typed: TEXT -->``
    Type the text into the command.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path

from ajobs.testing.nats_server import NatsServer

BLOCK = re.compile(r"(?:<!-- (file|until|meanwhile|typed): (.+?) -->\n)?```(\w+)\n(.*?)```", re.DOTALL)
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]")
PROGRESS = re.compile(r"(adding|retrying|deleting) .*[0-9?]")
PROMPT = " [y/N] "
HOME = "/home/ann/mailer"
"""The name of the folder on the page. It has the length of the real name, so that columns stay aligned."""
TIMEOUT_S = 60


class Terminal:
    """Runs commands, each on its own terminal, with a given working folder and environment."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.running: list[subprocess.Popen[bytes]] = []

    def run(self, command: str, directive: str | None, argument: str) -> str:
        ours, theirs = pty.openpty()
        modes = termios.tcgetattr(theirs)
        modes[3] &= ~termios.ECHO
        termios.tcsetattr(theirs, termios.TCSANOW, modes)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 110, 0, 0))
        process = subprocess.Popen(
            ["bash", "-c", f"exec 2>&1; {command}"], cwd=self.folder, env=self.environment,
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        self.running.append(process)
        os.close(theirs)
        typed = argument if directive == "typed" else ""
        if typed:
            os.write(ours, typed.encode() + b"\n")
        shown, give_up = b"", time.monotonic() + TIMEOUT_S
        while not (directive == "until" and argument.encode() in shown):
            part = read(ours, give_up)
            if not part:
                process.wait()
                break
            shown += part
            if directive == "meanwhile" and b"\n" in shown:
                subprocess.run(
                    ["bash", "-c", argument], cwd=self.folder, env=self.environment, check=True, timeout=TIMEOUT_S
                )
                directive = None
        if directive == "until":
            # Keep reading its output, so that it does not block on a full terminal buffer.
            threading.Thread(target=drain, args=(ours,), daemon=True).start()
        text = ESCAPE.sub("", shown.decode()).replace("\r\n", "\n").replace(str(self.folder), HOME)
        lines = [line.rstrip() for line in text.replace(PROMPT, f"{PROMPT}{typed}\n").splitlines()]
        lines = [line for line in lines if not PROGRESS.match(line)]
        # A removed progress bar leaves an empty line before and after it. Only `info` prints empty lines itself.
        keep_empty = bool(lines) and lines[0] == "Task store"
        return "".join(f"{line}\n" for line in lines if line or keep_empty)

    def end(self) -> None:
        for process in self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def read(terminal: int, give_up: float) -> bytes:
    """Return the next output, or an empty value if the other end is closed."""
    if not select.select([terminal], [], [], max(0, give_up - time.monotonic()))[0]:
        sys.exit(f"a command printed nothing for {TIMEOUT_S} s")
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def drain(terminal: int) -> None:
    while read(terminal, time.monotonic() + 24 * 3600):
        pass


def renew(path: Path, terminal: Terminal) -> None:
    def block(match: re.Match[str]) -> str:
        directive, text, language, content = match.groups()
        if directive == "file":
            path = terminal.folder / text
            path.write_text(content)
            path.chmod(0o755 if text.endswith(".sh") else 0o644)
        if language != "console":
            return match.group()
        printed = ""
        for line in content.splitlines():
            if line.startswith("$ "):
                printed += f"{line}\n{terminal.run(line[2:], directive, text)}"
                directive = None
        return f"{match.group()[: match.start(4) - match.start()]}{printed}```"

    path.write_text(BLOCK.sub(block, path.read_text()))


async def main(name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="abc") as folder:
        async with NatsServer.run() as server:
            environment = {
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "NATS_URL": server.url, "TZ": "UTC",
                "HOME": folder, "LANG": "C.UTF-8", "TERM": "xterm", "NO_COLOR": "1", "SHELL": "/bin/bash",
            }  # fmt: skip
            terminal = Terminal(Path(folder), environment)
            try:
                await asyncio.to_thread(renew, Path(name), terminal)
            finally:
                terminal.end()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
