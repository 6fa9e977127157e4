"""What all programs of the project do: run on the fastest loop, stop on signals, serve their health."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import TimeoutError as ThreadTimeoutError
from contextlib import contextmanager
from typing import Any, TypeVar

from ajobs.client.observability.exposition import Checks, Health, serve_metrics

ANSWER_S = 3.0
"""Seconds that the event loop has to answer whether it lives."""

T = TypeVar("T")


def forget_empty_variables() -> None:
    """Take ``AJ_*`` variables that are empty out of the environment: what fills in others cannot leave one out."""
    for name in [name for name, value in os.environ.items() if name.startswith("AJ_") and not value]:
        del os.environ[name]


def run_program(main: Coroutine[Any, Any, int]) -> int:
    """Run a program's coroutine, on uvloop where there is one, and return its exit status."""
    run: Callable[[Coroutine[Any, Any, int]], int]
    try:
        import uvloop  # it is not there on Windows
    except ImportError:
        run = asyncio.run
    else:
        run = uvloop.run
    return run(main)


@contextmanager
def stopped_by_signals(stop: Callable[[], None], logger: logging.Logger) -> Generator[None]:
    """Have ``stop`` called on SIGTERM and SIGINT for as long as the block runs."""
    loop = asyncio.get_running_loop()

    def told(number: signal.Signals) -> None:
        logger.info("stopping on %s", number.name)
        stop()

    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, told, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


@contextmanager
def monitored(port: int | None, host: str, problems: Callable[[], Checks], logger: logging.Logger) -> Generator[None]:
    """Serve metrics and health for as long as the block runs, unless there is no port.

    Args:
        port: The port, or none.
        host: The address.
        problems: What keeps the program from its work; asked in the event loop.
        logger: Is told the port.

    Raises:
        ConfigurationError: The port cannot be listened on.
    """
    if port is None:
        yield
        return
    loop = asyncio.get_running_loop()

    async def ask(question: Callable[[], T]) -> T:
        return question()

    def answer(question: Callable[[], Checks]) -> Checks:
        asked: Coroutine[Any, Any, Checks] = ask(question)
        try:
            return asyncio.run_coroutine_threadsafe(asked, loop).result(ANSWER_S)
        except ThreadTimeoutError:
            return {"event loop": f"did not answer within {ANSWER_S:g} s"}

    health = Health(alive=lambda: answer(lambda: {"event loop": None}), ready=lambda: answer(problems))
    with serve_metrics(port, host, health=health) as listening:
        logger.info("metrics and health on port %d of %s", listening, host)
        yield
