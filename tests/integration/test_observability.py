"""The dashboard and the alerts query only metrics that the services and the NATS server export."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.request
from collections.abc import Iterable
from importlib import import_module

import pytest
from prometheus_client import REGISTRY
from prometheus_client.registry import Collector

from ajobs.testing.clusters import free_ports
from ajobs.testing.nats_server import NatsServer
from tests import ROOT

DASHBOARD = ROOT / "deploy/grafana/dashboards/ajobs.json"
RULES = ROOT / "deploy/prometheus/rules.yml"
MODULES = (
    "ajobs.client.observability.metrics", "ajobs.client.maintenance.janitor", "ajobs.worker.running.observers",
    "ajobs.scheduler.metrics", "ajobs.scheduler.duties.queue_depths", "ajobs.admin.api.metrics",
)  # fmt: skip
SERIES = re.compile(r"\b((?:choria_asyncjobs|gnatsd_varz|jetstream|process)_\w+)(\{[^}]*\})?")
OF_JETSTREAM = {"jetstream_server_total_message_bytes": "bytes"}
"""The fields of the server's /jsz, by the exporter's metric name."""
OF_TARGETS = {"service", "job", "instance", "le"}
"""Labels that Prometheus adds, and the label of a histogram's buckets."""


def queries() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    variables = json.loads(DASHBOARD.read_text())["templating"]["list"]
    asked += [variable["definition"] for variable in variables]
    return asked + re.findall(r"expr: (?:>-\n)?((?:.+\n)(?: {10}.+\n)*)", RULES.read_text())


def exported() -> dict[str, set[str]]:
    """Return the names of all series of the services with their labels."""
    for name in MODULES:
        import_module(name)
    series: dict[str, set[str]] = {}
    collectors: Iterable[Collector] = set(REGISTRY._collector_to_names)
    for collector in collectors:
        labels = set(getattr(collector, "_labelnames", ()))
        series |= dict.fromkeys(REGISTRY._collector_to_names[collector], labels)
    return series


def test_each_query_uses_exported_metrics_and_their_labels():
    known = exported()
    asked = queries()
    assert len(asked) > 40
    for query in asked:
        names = [name for name, _ in SERIES.findall(query)]
        for name, selector in SERIES.findall(query):
            if name.startswith(("gnatsd_", "jetstream_")):
                continue
            assert name in known, query
            assert set(re.findall(r"(\w+)=~?\"", selector)) <= known[name] | OF_TARGETS, query
        labels = {each.strip() for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", query) for each in group.split(",")}
        if not any(name.startswith(("gnatsd_", "jetstream_")) for name in names):
            assert labels <= set().union(*(known[name] for name in names)) | OF_TARGETS, query


def test_panels_do_not_overlap_and_use_the_provisioned_data_source():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    source = re.search(r"uid: (\w+)", (ROOT / "deploy/grafana/datasources/prometheus.yml").read_text())
    assert source is not None
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        occupied = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not occupied & cells, panel["title"]
        assert max(x for x, _ in occupied) < 24
        cells |= occupied
        if panel["type"] != "row":
            assert {target["datasource"]["uid"] for target in panel["targets"]} == {source[1]}
    assert len({panel["id"] for panel in panels}) == len(panels)


def numbers_of(url: str) -> set[str]:
    with urllib.request.urlopen(url, timeout=30) as response:
        return {key for key, value in json.load(response).items() if isinstance(value, int | float)}


@pytest.mark.parametrize("path", ["varz", "jsz"])
async def test_each_queried_metric_of_nats_is_a_field_of_its_monitoring_page(path: str):
    (port,) = free_ports(1)
    async with NatsServer.run(config=f'http: "127.0.0.1:{port}"'):
        numbers = await asyncio.to_thread(numbers_of, f"http://127.0.0.1:{port}/{path}")
    asked = {name for query in queries() for name, _ in SERIES.findall(query)}
    if path == "varz":
        fields = {name.removeprefix("gnatsd_varz_") for name in asked if name.startswith("gnatsd_varz_")}
    else:
        fields = {OF_JETSTREAM[name] for name in asked if name.startswith("jetstream_")}
    assert fields
    assert fields <= numbers
