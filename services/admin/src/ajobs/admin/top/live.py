"""The live screen of ``ajc top``, on the alternate screen of a terminal, until it is quit."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Generator
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

import msgspec
from rich.live import Live
from rich.text import Text

from ajobs.admin.text.printing import console
from ajobs.admin.top.gathering import feeding
from ajobs.admin.top.model import TopModel, View
from ajobs.admin.top.screen import QUEUE_SORTS, TYPE_SORTS, Choices, picture
from ajobs.admin.top.terminal import keys, signals

if TYPE_CHECKING:
    from ajobs.client.client import Client

REFRESH_S = 0.5
INTERRUPTED = 130

T = TypeVar("T")


async def show(client: Client, choices: Choices) -> int:
    """Show the screen until it is quit, and return the exit status: 0, or 130 after Ctrl-C."""
    model = TopModel(time.monotonic())
    screen = _Screen(model, choices)
    async with AsyncExitStack() as stack:
        stack.enter_context(_silenced())
        await stack.enter_async_context(feeding(client, model))
        live = stack.enter_context(Live(console=console(), screen=True, auto_refresh=False))
        stack.enter_context(keys(screen.press))
        stack.enter_context(signals(screen.end, screen.wake))
        while not screen.ended:
            size = live.console.size
            lines = Text("\n", no_wrap=True, overflow="crop").join(screen.draw(size.width, size.height))
            live.update(lines, refresh=True)
            await screen.changed()
    return INTERRUPTED if screen.ended is signal.SIGINT else 0


class _Screen:
    def __init__(self, model: TopModel, choices: Choices) -> None:
        self._model = model
        self._choices = choices
        self._changed = asyncio.Event()
        self._frozen: View | None = None
        self.ended: signal.Signals | None = None

    def draw(self, width: int, height: int) -> list[Text]:
        view = self._frozen
        if view is None:
            view = self._model.view(time.monotonic(), queue=self._choices.queue, series=max(30, width))
        if self._choices.paused:
            self._frozen = view
        return picture(view, self._choices, width, height, time.time_ns())

    async def changed(self) -> None:
        """Wait until the screen must be drawn again."""
        with suppress(TimeoutError):
            async with asyncio.timeout(REFRESH_S):
                await self._changed.wait()
        self._changed.clear()

    def wake(self) -> None:
        self._changed.set()

    def end(self, number: signal.Signals) -> None:
        self.ended = number
        self._changed.set()

    def press(self, key: str) -> None:
        choices, change = self._choices, msgspec.structs.replace
        if key == "q":
            self.end(signal.SIGTERM)
        elif key == "p":
            self._choices = change(choices, paused=not choices.paused)
        elif key == "s":
            self._choices = change(choices, queue_sort=_next(list(QUEUE_SORTS), choices.queue_sort))
        elif key == "t":
            self._choices = change(choices, type_sort=_next(list(TYPE_SORTS), choices.type_sort))
        elif key == "f":
            names = [row.queue.name for row in self._model.view(time.monotonic()).queues]
            self._choices = change(choices, queue=_next([None, *sorted(names)], choices.queue))
        # A new choice replaces the frozen view.
        if key in "pf":
            self._frozen = None
        self.wake()


def _next(values: list[T], value: T) -> T:
    return values[(values.index(value) + 1) % len(values)] if value in values else values[0]


@contextmanager
def _silenced() -> Generator[None]:
    """Keep log lines off the screen, which shows the same problems itself."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
