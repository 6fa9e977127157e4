"""Carrying OpenTelemetry's trace context from producers to handlers, in headers of the work item."""

from __future__ import annotations

from collections.abc import Callable

from ajobs.protocol.errors import ConfigurationError

Inject = Callable[[dict[str, str]], None]
"""Adds to headers where in which trace we are."""


def injector() -> Inject:
    """Return what adds the current trace context to headers.

    Raises:
        ConfigurationError: OpenTelemetry is not installed.
    """
    try:
        from opentelemetry import propagate  # only those who trace have it
    except ImportError as e:
        raise ConfigurationError("trace needs OpenTelemetry: pip install opentelemetry-api") from e
    return propagate.inject
