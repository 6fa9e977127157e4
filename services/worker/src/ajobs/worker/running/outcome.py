"""Call a handler and turn whatever it does into an outcome: this is what happens when a handler fails.

| the handler | the outcome |
|---|---|
| returns a value | `Succeeded`; `Terminated` if it cannot be encoded as JSON |
| raises `TerminateTask` or `DiscardTask` | `Terminated` |
| raises `RetryTask` | `Failed`, with the delay that it chose |
| uses up its time | `Failed` |
| is cancelled because the worker stops | `Interrupted` |
| raises anything else | `Failed` |

`ajobs.protocol.decisions.conclude` decides what an outcome means for the task.
"""

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
    """Return a result as JSON.

    Raises:
        InvalidPayloadError: JSON cannot express the result.
    """
    return encode_value("result", value)


async def handle_run(handle: Handle, run: Run, encode: Callable[[Any], bytes] = encode_result) -> Outcome:
    """Call a handler within the run's lease and return the outcome.

    An exception that the handler did not raise on purpose is kept in ``run.error``, for the log. Raises only what ends
    the process: ``KeyboardInterrupt`` and ``GeneratorExit``.

    Args:
        handle: The handler with its middleware.
        run: The run, which the handler sees as its context.
        encode: Encodes the result.
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
        # Some libraries raise errors that are not an `Exception`, such as a panic in Rust. They fail only the task.
        if isinstance(e, DECISIONS):
            return _outcome_of(e, run.lease)
        run.error = e
        # An exception raised while the worker cancels the handler says nothing about the task.
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
    """Return whether the current asyncio task is being cancelled, and not only one that it awaits."""
    current = asyncio.current_task()
    return current is not None and current.cancelling() > 0
