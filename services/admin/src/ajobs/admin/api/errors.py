"""Error responses: one document for all errors, and one table from error codes to HTTP statuses.

Clients may rely on ``code`` and ``details``. ``message`` is for people: it says what is wrong and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ajobs.client.storage.jetstream.errors import SettingsRefusedError, StreamNotFoundError
from ajobs.protocol.errors import AjobsError, InvalidArgumentError

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
"""The status of each code. An `ApiError` may choose another status."""

REASONS: Mapping[str, str] = {
    "queue_consumer_not_found": "queue_not_found",
    "not_connected": "storage_not_ready",
    "connection_failed": "storage_not_ready",
    "jetstream_not_enabled": "storage_not_ready",
    "no_responders": "storage_not_ready",
}
"""Our reasons that have another name in Choria Async Jobs."""


class Details(msgspec.Struct, frozen=True, omit_defaults=True):
    """Details of an error, for programs."""

    field: str | None = None
    reason: str | None = None


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The code and the message of an error."""

    code: str
    message: str
    details: Details | None = None


class ErrorDocument(msgspec.Struct, frozen=True):
    """The body of every error response."""

    error: Problem


class ApiError(AjobsError):
    """An error of the HTTP API itself, such as an invalid parameter."""

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
        """Set the fields of the error response.

        Args:
            message: The text for people.
            code: A key of `STATUSES`.
            reason: The stable reason, for programs.
            field: The field, parameter or header that is wrong.
            status: The HTTP status, if it is not the status of the code.
            headers: More headers of the response.
        """
        super().__init__(message)
        self.api_code = code
        self.api_reason = reason
        self.field = field
        self.status = STATUSES[code] if status is None else status
        self.headers = headers or {}


class HttpError(msgspec.Struct, frozen=True):
    """An error as HTTP: status, document and headers."""

    status: int
    problem: Problem
    headers: Mapping[str, str] = {}


def http_error(error: AjobsError, field: str | None = None) -> HttpError:
    """Return the HTTP form of an error; ``field`` names the invalid field, if known."""
    if isinstance(error, ApiError):
        details = Details(error.field or field, error.api_reason)
        problem = Problem(error.api_code, str(error), details if details != Details() else None)
        return HttpError(error.status, problem, error.headers)
    code, reason = error.code, REASONS.get(error.reason, error.reason)
    if isinstance(error, SettingsRefusedError):
        # The caller made the mistake, so the status is 400.
        code, reason = InvalidArgumentError.code, "settings_refused"
    elif isinstance(error, StreamNotFoundError):
        reason = "storage_not_ready"
    headers = {"Retry-After": "1"} if code == "unavailable" else {}
    return HttpError(STATUSES[code], Problem(code, str(error), Details(field, reason)), headers)


INTERNAL_ERROR = HttpError(500, Problem("internal", "internal error: see the server log", Details(reason="panic")))
