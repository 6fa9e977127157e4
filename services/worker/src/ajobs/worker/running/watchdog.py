"""Notice a blocked event loop, and name the handler that blocks it.

An async handler that computes, or calls a function that waits, keeps everything else in the process from running: the
other handlers, the renewal of leases, and the connection to NATS. A thread watches for that.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager

from ajobs.worker.running.run import Run

BEAT_S = 1.0
"""Seconds between two signs of life of the event loop."""

BLOCKED_S = 5.0
"""Seconds without a sign of life after which the event loop counts as blocked."""


class LoopWatchdog:
    """Logs an error when the event loop is blocked, once each time."""

    def __init__(self, runs: Callable[[], Iterable[Run]], logger: logging.Logger) -> None:
        """Look for the blocking handler among ``runs``."""
        self._runs = runs
        self._logger = logger
        self._last_beat = time.monotonic()
        self._is_blocked = False

    @contextmanager
    def watching(self) -> Generator[None]:
        """Watch the running event loop until the end of the block."""
        loop = asyncio.get_running_loop()
        ended = threading.Event()
        timer = loop.call_soon(self._beat, loop, ended)
        watch = threading.Thread(
            target=self._watch, args=(loop, threading.get_ident(), ended), name="watch the event loop", daemon=True
        )
        watch.start()
        try:
            yield
        finally:
            ended.set()
            timer.cancel()

    def _beat(self, loop: asyncio.AbstractEventLoop, ended: threading.Event) -> None:
        now = time.monotonic()
        if self._is_blocked:
            self._is_blocked = False
            self._logger.warning("the event loop runs again after %.1f s", now - self._last_beat)
        self._last_beat = now
        if not ended.is_set():
            loop.call_later(BEAT_S, self._beat, loop, ended)

    def _watch(self, loop: asyncio.AbstractEventLoop, thread: int, ended: threading.Event) -> None:
        while not ended.wait(BEAT_S):
            silent_s = time.monotonic() - self._last_beat
            if silent_s > BLOCKED_S and not self._is_blocked:
                self._is_blocked = True
                self._logger.error(
                    "the event loop is blocked for %.1f s by %s: use a plain function, which runs in a thread",
                    silent_s,
                    self._culprit(loop, thread),
                )

    def _culprit(self, loop: asyncio.AbstractEventLoop, thread: int) -> str:
        current = asyncio.current_task(loop)
        names = [run.name for run in list(self._runs()) if run.handling is current and current is not None]
        frame = sys._current_frames().get(thread)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - the documented way
        place = "" if frame is None else f" at {frame.f_code.co_filename}:{frame.f_lineno}"
        return (names[0] if names else "code outside of handlers") + place
