"""Types that several schemas share, and the base classes of bodies."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ajobs.protocol.names import NAME_PATTERN

MAX_NAME = 200
"""Maximum length of a name. Names become parts of subjects and file names, which are limited."""

INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1
_DURATION_PATTERN = r"^([0-9]{1,5}(\.[0-9]{1,9})?(ns|us|µs|ms|s|m|h)){1,4}$"

Name = Annotated[str, Meta(pattern=f"^{NAME_PATTERN}$", min_length=1, max_length=MAX_NAME)]
TaskId = Annotated[str, Meta(pattern=f"^{NAME_PATTERN}$", min_length=1, max_length=MAX_NAME, description="Task ID.")]
Duration = Annotated[
    str,
    Meta(
        description="A Go duration, such as `30s`, `5m` or `1h30m`.",
        extra_json_schema={"pattern": _DURATION_PATTERN, "examples": ["1h30m"]},
    ),
]
Nanoseconds = Annotated[int, Meta(description="Nanoseconds.", extra_json_schema={"format": "int64"})]
Time = Annotated[str, Meta(description="An RFC 3339 timestamp.", extra_json_schema={"format": "date-time"})]
Base64 = Annotated[bytes, Meta(description="Base64.", extra_json_schema={"format": "byte"})]
Tries = Annotated[int, Meta(ge=1, le=INT32_MAX)]
Count = Annotated[int, Meta(ge=0, le=INT64_MAX)]
Cron = Annotated[
    str,
    Meta(
        max_length=200,
        description="Five cron fields, a descriptor such as `@daily`, or `@every 10m`. A `CRON_TZ=` prefix sets the "
        "time zone.",
        extra_json_schema={"examples": ["0 2 * * *"]},
    ),
]
StateName = Literal[
    "new", "active", "retry", "expired", "terminated", "complete", "queue_error", "blocked", "unreachable"
]


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request body. An unknown field is an error."""


class Document(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A response body. Fields with their default value are omitted."""
