"""Lets in who may."""

from __future__ import annotations

from math import ceil

from starlette.datastructures import Headers

from ajobs.admin.api import metrics
from ajobs.admin.api.errors import ApiError
from ajobs.admin.api.tokens import Failures, Scope, TokenFile

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="ajobs"'}


class Authenticator:
    """Checks tokens, if there are any."""

    def __init__(self, tokens: TokenFile | None) -> None:
        """Use a file of tokens; without one everybody may do everything."""
        self._tokens = tokens
        self._failures = Failures()

    def check(self, headers: Headers, address: str, scope: Scope) -> str:
        """Return the name of who asks; empty when everybody may.

        Raises:
            ApiError: There is no good token, or its scope is not enough. After too many without one, an address is
                told to wait; a good token is let in all the same, for it cannot be guessed.
        """
        if self._tokens is None:
            return ""
        scheme, _, text = headers.get("authorization", "").partition(" ")
        token = self._tokens.find(text.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            raise self._failed(address, given=bool(scheme))
        if not token.allows(scope):
            raise ApiError(
                f"token {token.name} has the scope {token.scope}: this takes {scope}",
                code="forbidden", reason="scope_missing",
            )  # fmt: skip
        return token.name

    def _failed(self, address: str, *, given: bool) -> ApiError:
        metrics.REFUSED.inc()
        wait_s = self._failures.note(address)
        if wait_s is not None:
            return ApiError(
                f"too many requests without a good token: wait {ceil(wait_s)} s",
                code="rate_limited", reason="too_many_failures", headers={"Retry-After": str(ceil(wait_s))},
            )  # fmt: skip
        text = "this token is not known" if given else "a token is needed: send Authorization: Bearer TOKEN"
        reason = "token_unknown" if given else "token_required"
        return ApiError(text, code="unauthenticated", reason=reason, headers=_CHALLENGE)
