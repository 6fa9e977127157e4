"""Prometheus metrics of the API. A route is the path with its parameters' names, so that their number is bounded."""

from __future__ import annotations

from prometheus_client import Gauge, Histogram

from ajobs.client.observability.metrics import NAMESPACE, counter

REQUESTS = counter("http_requests_total", "Requests answered", "method", "route", "status")
SECONDS = Histogram(
    "http_request_seconds",
    "Seconds to the end of an answer, streams left out",
    ("method", "route"),
    namespace=NAMESPACE,
)
IN_PROGRESS = Gauge("http_requests_in_progress", "Requests being answered, streams among them", namespace=NAMESPACE)
STREAMS = Gauge("http_streams", "Open streams", ("route",), namespace=NAMESPACE)
EVENTS_LOST = counter("http_events_lost_total", "Events that clients were too slow for")
REFUSED = counter("http_authentication_failures_total", "Requests without a good token")
