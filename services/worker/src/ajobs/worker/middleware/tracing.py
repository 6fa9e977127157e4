"""OpenTelemetry spans around handlers, as children of the span in which the task was enqueued.

The producer's side is the client's setting ``trace``: it puts the trace context into headers of the work item, where
workers that do not know of it, Go ones included, do not look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ajobs.protocol.errors import ConfigurationError
from ajobs.worker.context import Context
from ajobs.worker.middleware.chain import Handle, Middleware

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

INSTRUMENTATION = "ajobs"


def tracing(provider: TracerProvider | None = None) -> Middleware:
    """Return middleware that makes a span of each call of a handler.

    Args:
        provider: Makes the tracer, instead of the global one.

    Raises:
        ConfigurationError: OpenTelemetry is not installed.
    """
    try:
        from opentelemetry import propagate, trace  # only those who trace have it
    except ImportError as e:
        raise ConfigurationError("tracing needs OpenTelemetry: pip install 'ajobs-worker[otel]'") from e
    tracer = trace.get_tracer(INSTRUMENTATION, tracer_provider=provider)

    def wrap(handle: Handle) -> Handle:
        async def call(context: Context) -> Any:
            task = context.task
            with tracer.start_as_current_span(
                f"process {task.type}",
                context=propagate.extract(context.headers),
                kind=trace.SpanKind.CONSUMER,
                attributes={
                    "messaging.system": "nats",
                    "messaging.operation.type": "process",
                    "messaging.destination.name": task.queue,
                    "messaging.message.id": task.id,
                    "ajobs.task.type": task.type,
                    "ajobs.task.tries": task.tries,
                },
            ):
                return await handle(context)

        return call

    return wrap
