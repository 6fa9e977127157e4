"""The deployment is consistent: Compose files, Kubernetes manifests, secrets, settings and documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from prometheus_client import REGISTRY

from ajobs.admin import provision
from ajobs.admin.cli import server_run
from ajobs.client.nats import environment
from ajobs.runtime import options
from ajobs.scheduler import main as scheduler
from ajobs.scheduler.duties import queue_depths as depths
from ajobs.worker.process import arguments
from ajobs.worker.process import main as worker
from scripts import make_secrets, nats_accounts
from tests import ROOT

COMPOSE = ("compose.yaml", "compose.cluster.yaml")
KUBERNETES = "1.34"
ONE_SHOT = {"nats-volume", "setup"}


class Loader(yaml.SafeLoader):
    """Reads a value with a tag of Compose as the plain value."""


Loader.add_multi_constructor(
    "!",
    lambda loader, _, node: (
        loader.construct_sequence(node, deep=True)
        if isinstance(node, yaml.SequenceNode)
        else loader.construct_mapping(node, deep=True)
        if isinstance(node, yaml.MappingNode)
        else None
    ),
)


def compose(file: str) -> dict[str, Any]:
    return yaml.load((ROOT / file).read_text(), Loader)


def services() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in COMPOSE:
        for name, service in compose(file)["services"].items():
            if "image" in service:  # services without an image only extend those of compose.yaml
                yield name, service


def documents() -> list[dict[str, Any]]:
    files = sorted((ROOT / "deploy/kubernetes").glob("*.yaml"))
    return [each for file in files for each in yaml.safe_load_all(file.read_text()) if each["kind"] != "Kustomization"]


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    for document in documents():
        if "template" in document.get("spec", {}):
            yield document["metadata"]["name"], document["spec"]["template"]


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secrets")
    make_secrets.write_all(folder)
    return folder


# ---- Compose


@pytest.mark.parametrize(("name", "service"), list(services()))
def test_a_container_has_only_the_privileges_that_it_needs(name: str, service: dict[str, Any]):
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == (["CHOWN"] if name == "nats-volume" else [])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert "container_name" not in service
    if name != "nats-volume":
        assert not str(service.get("user", "10001")).startswith(("0", "root"))
        limits = service["deploy"]["resources"]["limits"]
        assert limits.keys() == {"cpus", "memory", "pids"}
    if name not in ONE_SHOT:
        assert service["restart"] == "unless-stopped"
        assert "test" in service["healthcheck"]


def test_a_container_may_take_longer_to_stop_than_the_grace_period_of_its_worker():
    worker = compose("compose.yaml")["services"]["worker"]
    assert int(worker["stop_grace_period"].removesuffix("s")) > int(worker["environment"]["AJ_GRACE"].removesuffix("s"))


def test_each_secret_and_configuration_exists_or_is_created(secrets: Path):
    for file in COMPOSE:
        document = compose(file)
        for each in (document["configs"] | document["secrets"]).values():
            path: str = each["file"]
            created = secrets / path.removeprefix("./secrets/")
            assert created.exists() if path.startswith("./secrets/") else (ROOT / path).exists(), path


def test_each_variable_has_a_default_that_is_documented():
    text = "".join((ROOT / file).read_text() for file in COMPOSE)
    assert not re.findall(r"\$\{(\w+)\}", text)
    used = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", text))
    documented = dict(re.findall(r"^#(\w+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert used == documented


# ---- settings


def read_by_services() -> set[str]:
    """Return the variables that the commands and the client read."""
    names = set(environment._TEXTS) | {"NATS_URL"}
    for module in (options, worker, arguments, scheduler, provision, server_run):
        names |= set(re.findall(r'"(AJC?_\w+)"', Path(module.__file__).read_text()))
    return names


def test_services_read_every_variable_that_they_are_given():
    known = read_by_services()
    given: set[str] = set()
    for name, service in services():
        if str(service["image"]).startswith("${AJOBS"):
            given |= service["environment"].keys()
            assert service["environment"].keys() <= known, name
    for name, template in pods():
        here = {each["name"] for container in template["spec"]["containers"] for each in container["env"]}
        assert here <= known, name
    for document in documents():
        if document["kind"] == "ConfigMap":
            assert document["data"].keys() <= known
    assert len(given) > 10


# ---- Kubernetes


@pytest.mark.parametrize("document", documents(), ids=lambda each: f"{each['kind']} {each['metadata']['name']}")
def test_a_manifest_matches_the_schemas_of_kubernetes(document: dict[str, Any]):
    kubernetes_validate.validate(document, KUBERNETES, strict=True)
    assert document["metadata"]["name"] == "ajobs" or document["metadata"]["namespace"] == "ajobs"


def test_an_invalid_manifest_is_refused():
    document = next(each for each in documents() if each["kind"] == "Deployment")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document | {"spec": document["spec"] | {"replica": 1}}, KUBERNETES, strict=True)


def test_each_manifest_is_in_the_kustomization():
    found = yaml.safe_load((ROOT / "deploy/kubernetes/kustomization.yaml").read_text())
    files = {file.name for file in (ROOT / "deploy/kubernetes").glob("*.yaml")} - {"kustomization.yaml"}
    assert set(found["resources"]) == files


@pytest.mark.parametrize(("name", "template"), list(pods()))
def test_a_pod_has_only_the_privileges_that_it_needs(name: str, template: dict[str, Any]):
    spec = template["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        rights = container["securityContext"]
        assert rights["readOnlyRootFilesystem"] is True
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
        if name != "setup":
            assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
            assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


@pytest.mark.parametrize("document", [each for each in documents() if each["kind"] == "Deployment"])
def test_a_deployment_selects_its_own_pods(document: dict[str, Any]):
    assert document["spec"]["selector"]["matchLabels"] == document["spec"]["template"]["metadata"]["labels"]


def test_each_file_of_a_kubernetes_secret_is_created_and_documented(secrets: Path):
    readme = (ROOT / "deploy/kubernetes/README.md").read_text()
    for name, template in pods():
        text = yaml.safe_dump(template)
        files = set(re.findall(r"/run/secrets/ajobs/(\w[\w.]*)", text))
        command = re.search(rf"create secret generic ajobs-{name} ((?:.*\\\n)*.*)", readme)
        assert command is not None, name
        assert files
        assert files <= set(re.findall(r"--from-file=secrets/(\S+)", command[1])), name
        assert all((secrets / file).exists() for file in files)


def test_workers_are_scaled_by_a_metric_of_the_leading_scheduler():
    (scaler,) = (each for each in documents() if each["kind"] == "HorizontalPodAutoscaler")
    metric = scaler["spec"]["metrics"][0]["external"]["metric"]
    names = REGISTRY._collector_to_names[depths.WAITING]
    assert metric["name"] in names
    assert set(metric["selector"]["matchLabels"]) == {"queue"}


# ---- documentation


@pytest.mark.parametrize("preset", nats_accounts.PRESETS)
def test_the_authorization_of_the_server_matches_the_grants(preset: str):
    committed = (ROOT / f"deploy/nats/accounts-{preset}.conf").read_text()
    assert committed == nats_accounts.PRESETS[preset](), "run `make nats-accounts`"


def test_the_documentation_lists_each_permission_of_each_role():
    page = (ROOT / "docs/authorization.md").read_text()
    assert page == nats_accounts.with_tables(page), "run `make nats-accounts`"
    assert all(table in page for table in nats_accounts.tables().values())
