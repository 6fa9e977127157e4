"""Turn every exception of a handler into a failure of its task, and report it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ajobs.protocol.decisions import error_text
from ajobs.worker.context import Context
from ajobs.worker.middleware.chain import Handle, Middleware
from ajobs.worker.outcomes import DECISIONS

Report = Callable[[BaseException, Context], None]


class RecoveredError(Exception):
    """Replaces an exception that a handler raised, which is its cause."""


def recover(report: Report | None = None) -> Middleware:
    """Return middleware that keeps any exception of a handler within its own task.

    This includes ``KeyboardInterrupt`` and other exceptions that are meant to end a program. The log keeps the
    traceback. Exceptions raised on purpose, such as `TerminateTask`, and the cancellation of a run pass through.

    Args:
        report: Called with the exception and the context, for an error tracker. Its own exceptions are logged.
    """

    def wrap(handle: Handle) -> Handle:
        async def call(context: Context) -> Any:
            try:
                return await handle(context)
            except (*DECISIONS, asyncio.CancelledError, GeneratorExit):
                raise
            except BaseException as e:
                if report is not None:
                    _report(report, e, context)
                raise RecoveredError(error_text(e)) from e

        return call

    return wrap


def _report(report: Report, error: BaseException, context: Context) -> None:
    try:
        report(error, context)
    except Exception:
        context.logger.exception("failed to report an error")
