"""Run a process: on the fastest event loop available, until a signal stops it."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any


def run_program(main: Coroutine[Any, Any, int], on_stopped: Callable[[], None] | None = None) -> int:
    """Run the coroutine of a program and return its exit status. Uses uvloop where it is available.

    Args:
        main: The coroutine.
        on_stopped: Called when code in the program stops the event loop, which then goes on. Default: that is an error.
    """
    factory: Callable[[], asyncio.AbstractEventLoop] | None
    try:
        import uvloop  # not available on Windows
    except ImportError:
        factory = None
    else:
        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        if on_stopped is None:
            return runner.run(main)
        loop = runner.get_loop()
        running = loop.create_task(main)
        while True:
            try:
                return loop.run_until_complete(running)
            except RuntimeError:
                if running.done():
                    raise
                on_stopped()


@contextmanager
def stopped_by_signals(stop: Callable[[], None], logger: logging.Logger) -> Generator[None]:
    """Call ``stop`` on each SIGTERM and SIGINT for as long as the block runs."""
    loop = asyncio.get_running_loop()

    def received(number: signal.Signals) -> None:
        logger.info("stopping on %s", number.name)
        stop()

    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, received, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
