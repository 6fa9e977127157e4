"""Running one handler: whatever it does becomes an outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ajobs.protocol.codec import encode_value
from ajobs.protocol.decisions import Failed, Interrupted, Outcome, Succeeded, Terminated, error_text
from ajobs.protocol.durations import as_ns
from ajobs.protocol.errors import InvalidPayloadError
from ajobs.worker.context import Context
from ajobs.worker.middleware.chain import Handle
from ajobs.worker.outcomes import DECISIONS, DiscardTask, RetryTask, TerminateTask
from ajobs.worker.running.lease import Lease
from ajobs.worker.running.run import Run


def encode_result(value: Any) -> bytes:
    """Return a result as JSON."""
    return encode_value("result", value)


async def handle_run(handle: Handle, run: Run, encode: Callable[[Any], bytes] = encode_result) -> Outcome:
    """Call a handler, bounded by the run's lease, and return what came of it, its result as ``encode`` makes it.

    Raises nothing but what ends the process. What the handler raised is kept in ``run.error``, for the log.
    """
    try:
        async with run.lease:
            value = await handle(Context(run))
    except asyncio.CancelledError as e:
        if is_cancelled():
            return Interrupted()
        run.error = e
        return Failed("the handler was cancelled by something that it awaited")
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as e:
        # Libraries have errors that are no `Exception`, a panic in Rust for one: they fail the task, not the slot.
        if isinstance(e, DECISIONS):
            return _outcome_of(e, run.lease)
        run.error = e
        # What a handler raises on its way out when it is told to stop says nothing about its task.
        return Interrupted() if is_cancelled() else _outcome_of(e, run.lease)
    try:
        return Succeeded(encode(value))
    except InvalidPayloadError as e:
        run.error = e
        return Terminated(str(e))


def _outcome_of(error: BaseException, lease: Lease) -> Outcome:
    match error:
        case TerminateTask():
            return Terminated(error_text(error))
        case DiscardTask():
            return Terminated(error_text(error), discard=True)
        case RetryTask():
            return Failed(error_text(error), None if error.after is None else as_ns(error.after))
        case TimeoutError() if lease.expired:
            return Failed(f"cancelled after the max run time of {lease.max_run_time}")
        case SystemExit():
            return Failed(f"the handler called sys.exit({error.code!r})")
        case _:
            return Failed(error_text(error))


def is_cancelled() -> bool:
    """Tell whether this very asyncio task is being cancelled, as opposed to something that it waited for."""
    current = asyncio.current_task()
    return current is not None and current.cancelling() > 0
