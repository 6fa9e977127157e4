"""Renew the output on a page of the documentation: each command on it is run, and what it prints put below it.

``python -m scripts.page docs/ajc.md`` runs the lines that begin with ``$`` in blocks of ``console``, one after the
other, on a terminal of 110 columns in a folder and with a nats-server of their own. Before a block there may be:

``<!-- file: NAME -->``
    The block is no command, but a file to be written.
``<!-- until: TEXT -->``
    The command is left running once it has printed that.
``<!-- meanwhile: COMMAND -->``
    Is run once the command has printed its first line.
``<!-- typed: TEXT -->``
    Is typed.
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

from asyncjobs.admin.dev.nats_server import NatsServer

BLOCK = re.compile(r"(?:<!-- (file|until|meanwhile|typed): (.+?) -->\n)?```(\w+)\n(.*?)```", re.DOTALL)
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]")
SPAN_S = 60


class Terminal:
    """A folder and variables in which commands are run, each on a terminal."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.running: list[subprocess.Popen[bytes]] = []

    def run(self, command: str, directive: str | None, text: str) -> str:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 110, 0, 0))
        process = subprocess.Popen(
            ["bash", "-c", f"exec 2>&1; {command}"], cwd=self.folder, env=self.environment,
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        self.running.append(process)
        os.close(theirs)
        if directive == "typed":
            os.write(ours, text.encode() + b"\n")
        shown, give_up = b"", time.monotonic() + SPAN_S
        while not (directive == "until" and text.encode() in shown):
            part = read(ours, give_up)
            if not part:
                process.wait()
                break
            shown += part
            if directive == "meanwhile" and b"\n" in shown:
                subprocess.run(["bash", "-c", text], cwd=self.folder, env=self.environment, check=True, timeout=SPAN_S)
                directive = None
        if directive == "until":
            # What it prints from here on is read, so that it does not wait for a reader.
            threading.Thread(target=drain, args=(ours,), daemon=True).start()
        lines = ESCAPE.sub("", shown.decode()).replace("\r\n", "\n").splitlines()
        return "".join(f"{line.rstrip()}\n" for line in lines)

    def end(self) -> None:
        for process in self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def read(terminal: int, give_up: float) -> bytes:
    """Return what is shown next; nothing when nobody has the other end any more."""
    if not select.select([terminal], [], [], max(0, give_up - time.monotonic()))[0]:
        sys.exit(f"a command printed nothing for {SPAN_S} s")
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def drain(terminal: int) -> None:
    while read(terminal, time.monotonic() + 24 * 3600):
        pass


def renew(page: str, terminal: Terminal) -> str:
    def block(found: re.Match[str]) -> str:
        directive, text, language, content = found.groups()
        if directive == "file":
            path = terminal.folder / text
            path.write_text(content)
            path.chmod(0o755 if text.endswith(".sh") else 0o644)
        if language != "console":
            return found.group()
        commands = [line[2:] for line in content.splitlines() if line.startswith("$ ")]
        printed = "".join(f"$ {command}\n{terminal.run(command, directive, text)}" for command in commands)
        return f"{found.group()[: found.start(4) - found.start()]}{printed}```"

    return BLOCK.sub(block, page)


async def main(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with NatsServer.run() as server:
            environment = {
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "NATS_URL": server.url, "TZ": "UTC",
                "HOME": folder, "LANG": "C.UTF-8", "TERM": "xterm", "NO_COLOR": "1", "SHELL": "/bin/bash",
            }  # fmt: skip
            terminal = Terminal(Path(folder), environment)
            try:
                path.write_text(await asyncio.to_thread(renew, path.read_text(), terminal))
            finally:
                terminal.end()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
