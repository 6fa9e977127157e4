"""``ajc server token``."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from cyclopts import Parameter


def token(name: str, *, scope: Annotated[list[Literal["read", "write", "admin"]], Parameter(negative=())]) -> int:
    """Create a token for the HTTP API.

    The token is shown once. Add the second line to the file of --token-file; it does not reveal the token.

    Parameters
    ----------
    name
        Name of the owner, for the log of the server.
    scope
        Scope: read, write (tasks) or admin (queues, schedules, the store). Each includes those before it.
    """
    from ajobs.admin.api.tokens import Scope, new_token

    secret, line = new_token(name, map(Scope, scope))
    if sys.stderr.isatty():
        print("the token, which is not shown again, and the line for the file of --token-file:", file=sys.stderr)  # noqa: T201 - read by people
    print(secret)  # noqa: T201 - shown once to the caller
    print(line)  # noqa: T201 - the line for the token file
    return 0
