"""The meaning of a receiver's response."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from ajobs.worker import RetryTask, TerminateTask

TRY_AGAIN = frozenset({408, 425, 429})
"""Client errors that may pass. Every 5xx may pass, too."""
LONGEST_WAIT = timedelta(hours=6)
"""The longest delay that a receiver can request."""


def check_answer(status: int, headers: Mapping[str, str], now: datetime) -> None:
    """Return if the receiver accepted the delivery.

    Raises:
        RetryTask: The failure may pass. The delay is the one that the receiver requests, else that of the retry policy.
        TerminateTask: The failure is permanent.
    """
    if 200 <= status < 300:
        return
    if status >= 500 or status in TRY_AGAIN:
        raise RetryTask(f"the receiver answered {status}", after=retry_after(headers.get("retry-after", ""), now))
    if status == 410:
        raise TerminateTask("the receiver answered 410: the endpoint is gone, remove it")
    if 300 <= status < 400:
        raise TerminateTask(f"the receiver answered {status}: redirects are not followed, correct the endpoint's url")
    raise TerminateTask(f"the receiver answered {status}")


def retry_after(text: str, now: datetime) -> timedelta | None:
    """Return the delay that a ``Retry-After`` header requests, or ``None`` if it is missing or invalid."""
    try:
        wait = timedelta(seconds=int(text)) if text.isdigit() else parsedate_to_datetime(text) - now
    except (ValueError, TypeError, OverflowError):  # TypeError: a date without a time zone
        return None
    return min(max(wait, timedelta()), LONGEST_WAIT)
