"""OpenTelemetry spans from the producer to the handler."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from ajobs.client import Client, Queue
from ajobs.testing.workers import working
from ajobs.worker import RetryTask, Router, tracing


@pytest.fixture
def spans():
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider, exporter.get_finished_spans
    provider.shutdown()


async def test_a_handler_span_is_a_child_of_the_producer_span_in_every_try(server, spans):
    provider, finished = spans
    tracer = provider.get_tracer("test")
    router = Router()
    router.use(tracing(provider))

    @router.handler("t")
    def handle(payload: int) -> int:
        with tracer.start_as_current_span("inside"):
            if len(finished()) < 2:
                raise RetryTask("again", after=0)
            return payload

    async with Client.connect(server.url, queue="Q", trace=True) as client, working(client, router):
        with tracer.start_as_current_span("producer") as producer:
            task = await client.enqueue("t", 3)
        assert await client.result(task.id, timeout=30) == 3
    by_name: dict[str, list] = {}
    for span in finished():
        by_name.setdefault(span.name, []).append(span)
    first, second = by_name["process t"]
    for span in (first, second):
        assert span.parent.span_id == producer.get_span_context().span_id
        assert span.context.trace_id == producer.get_span_context().trace_id
        assert span.kind is SpanKind.CONSUMER
    assert [inside.parent.span_id for inside in by_name["inside"]] == [first.context.span_id, second.context.span_id]
    assert (first.status.status_code, second.status.status_code) == (StatusCode.ERROR, StatusCode.UNSET)
    assert second.attributes["messaging.message.id"] == task.id
    assert second.attributes["ajobs.task.tries"] == 2


async def test_the_trace_context_survives_the_replacement_of_an_item(server, spans):
    """The queue allows two deliveries. Handing a task back after the second replaces its item."""
    provider, finished = spans
    router = Router()
    router.use(tracing(provider))
    router.add("t", lambda: "ran")
    queue = Queue(name="Q", max_tries=1)
    async with Client.connect(server.url, queue=queue, trace=True) as client:
        parent = await client.enqueue("parent")
        with provider.get_tracer("test").start_as_current_span("producer") as producer:
            child = await client.enqueue("t", depends_on=[parent])
        router.add("parent", lambda: None)
        async with working(client, router):
            assert await client.result(child.id, timeout=60) == "ran"
    (span,) = [span for span in finished() if span.name == "process t"]
    assert span.parent.span_id == producer.get_span_context().span_id


async def test_without_a_span_no_headers_are_added(server):
    assert not trace.get_current_span().get_span_context().is_valid
    async with Client.connect(server.url, queue="Q", trace=True) as client:
        headers: dict[str, str] = {}
        client.enqueuer._inject(headers)
        assert headers == {}
        await client.enqueue("t")
