"""Log the start and the end of handlers."""

from __future__ import annotations

import logging
import time
from typing import Any

from ajobs.worker.context import Context
from ajobs.worker.middleware.chain import Handle, Middleware


def log_runs(level: int = logging.INFO) -> Middleware:
    """Return middleware that logs each call of a handler, with the ID, type, queue and try of the task.

    The worker itself logs the start and end of each task. Use this for single routes, or if the log of the worker is
    turned off.
    """

    def wrap(handle: Handle) -> Handle:
        async def call(context: Context) -> Any:
            logger = context.logger
            logger.log(level, "handler started")
            began = time.perf_counter()
            try:
                result = await handle(context)
            except BaseException as e:
                logger.log(level, "handler raised %s after %.3f s", type(e).__name__, time.perf_counter() - began)
                raise
            logger.log(level, "handler returned after %.3f s", time.perf_counter() - began)
            return result

        return call

    return wrap
