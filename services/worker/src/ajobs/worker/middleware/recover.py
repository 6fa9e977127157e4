"""Turn whatever a handler raises into a failure of its task, and tell somebody about it."""

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
    """What a handler raised, as a failure like any other. Its cause is the original."""


def recover(report: Report | None = None) -> Middleware:
    """Return middleware after which a handler can raise anything and only its own task fails.

    That goes for ``KeyboardInterrupt`` and other exceptions that are meant to end a program. The
    traceback is kept on the task's log line. What a handler decides on purpose, `TerminateTask` and the like, and the
    cancellation of a run pass through.

    Args:
        report: Is called with the exception and the context, to tell an error tracker. What it raises is logged.
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
        context.logger.exception("the report of an error failed")
