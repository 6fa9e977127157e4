"""Prometheus metrics of the API. The label `route` is the path template, which limits the number of series."""

from __future__ import annotations

from prometheus_client import Gauge, Histogram

from ajobs.client.observability.metrics import NAMESPACE, counter

REQUESTS = counter("http_requests_total", "HTTP requests", "method", "route", "status")
SECONDS = Histogram(
    "http_request_seconds",
    "Seconds until the end of a response, without event streams",
    ("method", "route"),
    namespace=NAMESPACE,
)
IN_PROGRESS = Gauge("http_requests_in_progress", "HTTP requests in progress, including streams", namespace=NAMESPACE)
STREAMS = Gauge("http_streams", "Open streams", ("route",), namespace=NAMESPACE)
EVENTS_LOST = counter("http_events_lost_total", "Events dropped because a client was too slow")
REFUSED = counter("http_authentication_failures_total", "Requests without a valid token")
