"""Errors as the API answers them: one envelope, and one table from codes to statuses.

What a client may rely on is ``code`` and ``details``; ``message`` is for people and says what to do.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ajobs.protocol.errors import AjobsError, InvalidArgumentError, StorageError

STATUSES: Mapping[str, int] = {
    "invalid_argument": 400,
    "signature_required": 400,
    "signature_invalid": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "duplicate": 409,
    "payload_too_large": 413,
    "dependency_failed": 424,
    "rate_limited": 429,
    "internal": 500,
    "unavailable": 503,
}
"""The status of each code, unless the error names another one of the same kind."""

REASONS: Mapping[str, str] = {
    "queue_consumer_not_found": "queue_not_found",
    "not_connected": "storage_not_ready",
    "connection_failed": "storage_not_ready",
    "jetstream_not_enabled": "storage_not_ready",
    "no_responders": "storage_not_ready",
}
"""Reasons of ours that the original knows by another name."""

REFUSED_SETTINGS = frozenset({10005, 10023, 10025, 10047, 10052, 10074, 10081, 10096})
"""What JetStream says about settings that it cannot have: a mistake of the caller's, not of the server."""

STREAM_NOT_FOUND = 10059


class Details(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong, for programs."""

    field: str | None = None
    reason: str | None = None


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error's code and text."""

    code: str
    message: str
    details: Details | None = None


class ErrorDocument(msgspec.Struct, frozen=True):
    """The body of every answer that is an error."""

    error: Problem


class ApiError(AjobsError):
    """An error that only the API has, with its code, reason and, where it differs from the code's, its status."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "invalid_argument",
        reason: str | None = None,
        field: str | None = None,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Keep what the answer is made of."""
        super().__init__(message)
        self.api_code = code
        self.api_reason = reason
        self.field = field
        self.status = STATUSES[code] if status is None else status
        self.headers = headers or {}


class HttpError(msgspec.Struct, frozen=True):
    """An answer that is an error."""

    status: int
    problem: Problem
    headers: Mapping[str, str] = {}


def http_error(error: AjobsError, field: str | None = None) -> HttpError:
    """Return what to answer to an error; ``field`` is what it is about, if that is known."""
    if isinstance(error, ApiError):
        details = Details(error.field or field, error.api_reason)
        problem = Problem(error.api_code, str(error), details if details != Details() else None)
        return HttpError(error.status, problem, error.headers)
    code, reason = error.code, REASONS.get(error.reason, error.reason)
    if isinstance(error, StorageError):
        if error.err_code in REFUSED_SETTINGS:
            code, reason = InvalidArgumentError.code, "settings_refused"
        elif error.err_code == STREAM_NOT_FOUND:
            reason = "storage_not_ready"
    headers = {"Retry-After": "1"} if code == "unavailable" else {}
    return HttpError(STATUSES[code], Problem(code, str(error), Details(field, reason)), headers)


INTERNAL_ERROR = HttpError(
    500, Problem("internal", "a mistake of the server: its log has the traceback", Details(reason="panic"))
)
