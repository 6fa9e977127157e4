"""What a receiver's answer means."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from ajobs.worker import RetryTask, TerminateTask

TRY_AGAIN = frozenset({408, 425, 429})
"""Those of the 4xx that say nothing against the delivery itself. Each 5xx is like them."""
LONGEST_WAIT = timedelta(hours=6)
"""A receiver may ask for time, but not for ever."""


def check_answer(status: int, headers: Mapping[str, str], now: datetime) -> None:
    """Return if the receiver took the delivery.

    Raises:
        RetryTask: It may take it later: after the time that it asks for, else after what the retry policy says.
        TerminateTask: It never will.
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
    """Return how long a ``Retry-After`` header asks to wait, as seconds or as a date; none: it does not say."""
    try:
        wait = timedelta(seconds=int(text)) if text.isdigit() else parsedate_to_datetime(text) - now
    except (ValueError, TypeError, OverflowError):  # TypeError: a date without a zone
        return None
    return min(max(wait, timedelta()), LONGEST_WAIT)
