"""OpenTelemetry spans around handlers, as children of the span in which the task was enqueued.

The producer's side is the client's setting ``trace``. It adds the trace context to the headers of the work item, which
other workers, including those in Go, ignore.
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
    """Return middleware that creates a span for each call of a handler.

    Args:
        provider: Creates the tracer. Default: the global provider.

    Raises:
        ConfigurationError: OpenTelemetry is not installed.
    """
    try:
        from opentelemetry import propagate, trace  # an optional dependency
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
