"""Log when a handler begins and how it ends."""

from __future__ import annotations

import logging
import time
from typing import Any

from ajobs.worker.context import Context
from ajobs.worker.middleware.chain import Handle, Middleware


def log_runs(level: int = logging.INFO) -> Middleware:
    """Return middleware that logs each call of a handler, with the task's id, type, queue and try.

    The worker itself logs each task's start and end; this is for the routes that are worth a second look, or for
    handlers whose worker's log is turned down.
    """

    def wrap(handle: Handle) -> Handle:
        async def call(context: Context) -> Any:
            logger = context.logger
            logger.log(level, "handler begins")
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
