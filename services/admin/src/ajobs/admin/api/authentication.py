"""Authenticate requests by their bearer token, and check the scope of the token."""

from __future__ import annotations

from math import ceil

from starlette.datastructures import Headers

from ajobs.admin.api import metrics
from ajobs.admin.api.errors import ApiError
from ajobs.admin.api.tokens import Failures, Scope, TokenFile

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="ajobs"'}


class Authenticator:
    """Checks bearer tokens, if the server uses a token file."""

    def __init__(self, tokens: TokenFile | None) -> None:
        """Check tokens against a file. Without a file, every request is allowed."""
        self._tokens = tokens
        self._failures = Failures()

    def check(self, headers: Headers, address: str, scope: Scope) -> str:
        """Return the name of the token; an empty string if the server uses no tokens.

        Raises:
            ApiError: The token is missing, unknown, or its scope is too low. After too many failures from one
                address the error is 429. A valid token still passes then, because it cannot be guessed.
        """
        if self._tokens is None:
            return ""
        scheme, _, text = headers.get("authorization", "").partition(" ")
        token = self._tokens.find(text.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            raise self._failed(address, given=bool(scheme))
        if not token.allows(scope):
            raise ApiError(
                f"token {token.name} has scope {token.scope}, but this operation needs {scope}",
                code="forbidden", reason="scope_missing",
            )  # fmt: skip
        return token.name

    def _failed(self, address: str, *, given: bool) -> ApiError:
        metrics.REFUSED.inc()
        wait_s = self._failures.note(address)
        if wait_s is not None:
            return ApiError(
                f"too many failed authentications: try again in {ceil(wait_s)} s",
                code="rate_limited", reason="too_many_failures", headers={"Retry-After": str(ceil(wait_s))},
            )  # fmt: skip
        text = "unknown token" if given else "authentication required: send `Authorization: Bearer TOKEN`"
        reason = "token_unknown" if given else "token_required"
        return ApiError(text, code="unauthenticated", reason=reason, headers=_CHALLENGE)
