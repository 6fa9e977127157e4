"""Run jobs next to a block, so that the failure of one ends neither the block nor the other jobs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

Job = Coroutine[Any, Any, None]


@asynccontextmanager
async def in_background(jobs: Mapping[str, Job], logger: logging.Logger) -> AsyncGenerator[None]:
    """Run jobs, by name, for as long as the block runs, then cancel them. A failed job is logged and stays off."""
    error: Exception | None = None
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_run(name, job, logger), name=name) for name, job in jobs.items()]
        try:
            yield
        except Exception as e:
            error = e  # raised below: the group would wrap it in an ExceptionGroup
        finally:
            for task in tasks:
                task.cancel()
    if error is not None:
        raise error


async def _run(name: str, job: Job, logger: logging.Logger) -> None:
    try:
        await job
    except Exception:
        logger.exception('background job "%s" failed and stays off until the scheduler restarts', name)
