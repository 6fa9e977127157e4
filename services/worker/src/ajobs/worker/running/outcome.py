"""Call a handler and turn whatever it does into an outcome: this is what happens when a handler fails.

| the handler | the outcome |
|---|---|
| returns a value | `Succeeded`; `Terminated` if it cannot be encoded as JSON |
| raises `TerminateTask` or `DiscardTask` | `Terminated` |
| raises `RetryTask` | `Failed`, with the delay that it chose |
| uses up its time | `Failed`, unless it catches the cancellation: then what it returns or raises counts |
| is cancelled because the worker stops | `Interrupted` |
| raises anything else | `Failed` |

`ajobs.protocol.decisions.conclude` decides what an outcome means for the task.
"""

from __future__ import annotations

import asyncio
import decimal
from collections.abc import Callable
from typing import Any

from ajobs.protocol.codec import encode_value
from ajobs.protocol.decisions import Failed, Interrupted, Outcome, Succeeded, Terminated, error_text
from ajobs.protocol.durations import as_ns
from ajobs.protocol.errors import InvalidPayloadError
from ajobs.worker.context import Context
from ajobs.worker.middleware.chain import Handle
from ajobs.worker.outcomes import DECISIONS, DiscardTask, RetryTask, TerminateTask
from ajobs.worker.running.forks import leave_if_forked
from ajobs.worker.running.lease import Lease
from ajobs.worker.running.run import Run


def encode_result(value: Any) -> bytes:
    """Return a result as JSON.

    Raises:
        InvalidPayloadError: JSON cannot express the result.
    """
    return encode_value("result", value)


async def handle_run(handle: Handle, run: Run, encode: Callable[[Any], bytes] = encode_result) -> Outcome:
    """Call a handler in an asyncio task of its own, within the run's time limit, and return the outcome.

    Nothing that a handler does to its task or its context variables reaches another run. An exception that the handler
    did not raise on purpose is kept in ``run.error``, for the log.

    Args:
        handle: The handler with its middleware.
        run: The run, which the handler sees as its context.
        encode: Encodes the result.
    """
    handling = run.handling = run.loop.create_task(_call(handle, run, encode))
    run.lease.start(run.time_is_up)
    try:
        return await handling
    except asyncio.CancelledError:
        if not handling.cancelled():
            handling.cancel()
            raise
        # It was cancelled before its first step.
        return _cancelled(run, None)
    finally:
        run.lease.end_run()


async def _call(handle: Handle, run: Run, encode: Callable[[Any], bytes]) -> Outcome:
    # The decimal context is an object that all contexts copied from the worker's would share.
    decimal.setcontext(decimal.getcontext().copy())
    try:
        value = await handle(Context(run))
    except asyncio.CancelledError as e:
        leave_if_forked(run.name)
        return _cancelled(run, e)
    except BaseException as e:
        # Some libraries raise errors that are not an `Exception`, such as a panic in Rust. They fail only the task, and
        # so do GeneratorExit and KeyboardInterrupt: letting these pass would end the slot, or the worker.
        leave_if_forked(run.name)
        if isinstance(e, DECISIONS):
            return _outcome_of(e, run.lease)
        run.error = e
        # An exception raised while the worker cancels the handler says nothing about the task.
        return Interrupted() if run.is_interrupted else _outcome_of(e, run.lease)
    leave_if_forked(run.name)
    try:
        return Succeeded(encode(value))
    except InvalidPayloadError as e:
        run.error = e
        return Terminated(str(e))


def _cancelled(run: Run, error: BaseException | None) -> Outcome:
    if run.is_interrupted:
        return Interrupted()
    run.error = error
    if run.lease.expired:
        return _outcome_of(TimeoutError(), run.lease)
    return Failed("the handler was cancelled by something that it awaited")


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
