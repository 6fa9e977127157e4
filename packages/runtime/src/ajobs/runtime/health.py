"""Serve a process's metrics and health, with answers that come from its event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import TimeoutError as ThreadTimeoutError
from contextlib import contextmanager
from typing import Any, TypeVar

from ajobs.client.observability.exposition import Checks, Health, serve_metrics

ANSWER_S = 3.0
"""Seconds for the event loop to answer. A loop that takes longer counts as hung."""

T = TypeVar("T")


@contextmanager
def monitored(port: int | None, host: str, problems: Callable[[], Checks], logger: logging.Logger) -> Generator[None]:
    """Serve metrics and health for as long as the block runs.

    Args:
        port: The port, or ``None`` to serve nothing.
        host: The address to listen on.
        problems: Returns the readiness checks, and a problem for each that fails. Called in the event loop.
        logger: Logs the port.

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
