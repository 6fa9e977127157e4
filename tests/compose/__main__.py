"""Run a suite of stack tests with ``python -m tests.compose SUITE``.

``quick`` builds and starts the stack, enqueues tasks and scales workers. ``full`` adds failures, the NATS cluster and
metrics. The exit status is 0 if nothing was lost.
"""

from __future__ import annotations

import asyncio
import sys

from tests.compose.bases import Bases, image_of
from tests.compose.docker import Docker, fail, say
from tests.compose.engine import engine
from tests.compose.load import Load, Ticks, leader, workers
from tests.compose.prometheus import Prometheus
from tests.compose.stack import IMAGE, Stack
from tests.integration.test_observability import queries


async def quick(docker: Docker) -> None:
    """Build, start, enqueue, scale."""
    with Stack.fresh(docker, "compose.yaml") as stack:
        build(stack, docker)
        stack.up("--scale", "worker=2")
        say("up with two workers, all healthy")
        check_isolation(stack)
        async with stack.connect("producer") as producer, stack.connect("admin") as admin:
            ticks = await Ticks.begin(admin)
            load = Load(producer, 1_000, over_s=10)
            async with asyncio.TaskGroup() as group:
                group.create_task(load.produce())
                await asyncio.to_thread(stack.up, "--scale", "worker=3", "--no-recreate")
                await workers(admin, 3)
                say("scaled to three")
            await load.all_complete()
            await ticks.end(at_least=5)
            check_api(stack, load.ids[0])
        check_logs(stack)


async def failures(docker: Docker) -> None:
    """Enqueue while a worker, the leading scheduler and NATS fail, and while the workers are scaled."""
    with Stack.fresh(docker, "compose.yaml") as stack:
        build(stack, docker)
        stack.up("--scale", "worker=3")
        say("up with three workers, all healthy")
        check_isolation(stack)
        async with stack.connect("producer") as producer, stack.connect("admin") as admin:
            ticks = await Ticks.begin(admin)
            load = Load(producer, 3_000, over_s=60)
            async with asyncio.TaskGroup() as group:
                group.create_task(load.produce())
                await load.enqueued(0.05)
                stack.kill(stack.containers("worker")[0])
                say("killed a worker")
                leading = stack.container_of("scheduler", await leader(admin))
                stack.kill(leading)
                say("killed the leading scheduler")
                await load.enqueued(0.15)
                await asyncio.to_thread(stack.compose, "restart", "nats")
                say("restarted NATS")
                await asyncio.to_thread(stack.up, "--scale", "worker=5", "--no-recreate")
                await workers(admin, 5)
                say("scaled to five, and started the scheduler again")
                assert len(stack.containers("scheduler")) == 2
                await asyncio.to_thread(stack.up, "--scale", "worker=3", "--no-recreate")
                await workers(admin, 3)
                say("scaled back to three")
            await load.all_complete()
            await ticks.end(at_least=60)
        check_logs(stack)


async def cluster(docker: Docker) -> None:
    """Enqueue while one of three NATS servers is stopped."""
    with Stack.fresh(docker, "compose.yaml", "compose.cluster.yaml") as stack:
        stack.up("--scale", "worker=2")
        say("up with three NATS servers")
        async with stack.connect("producer") as producer, stack.connect("admin") as admin:
            streams = await admin.storage.jetstream.call("STREAM.LIST")
            replicas = {each["config"]["name"]: each["config"]["num_replicas"] for each in streams["streams"]}
            assert set(replicas.values()) == {3}, replicas
            load = Load(producer, 2_000, over_s=25)
            for node in ("nats-2", "nats"):
                async with asyncio.TaskGroup() as group:
                    group.create_task(load.produce())
                    await load.enqueued(0.1)
                    await asyncio.to_thread(stack.compose, "stop", node)
                    say(f"stopped {node}")
                await load.all_complete()
                await asyncio.to_thread(stack.up, "--scale", "worker=2", "--no-recreate")
                say(f"started {node} again")
                load = Load(producer, 2_000, over_s=25)
        check_logs(stack)


async def metrics(docker: Docker) -> None:
    """Check that Prometheus finds all replicas, and run every query of the dashboard and the alerts."""
    Bases().prepare_prometheus(docker)
    image = image_of("PROMETHEUS_IMAGE")
    with Stack.fresh(docker, "compose.yaml") as stack:
        folder = stack.folder / "deploy/prometheus"
        for kind, file in (("config", "prometheus.yml"), ("rules", "rules.yml")):
            command = ("run", "--rm", "--volume", f"{folder}:/etc/prometheus:ro", "--entrypoint", "promtool", image)
            docker(*command, "check", kind, f"/etc/prometheus/{file}")
        say("promtool accepts the configuration and the rules")
        stack.up("--scale", "worker=2", "worker", "scheduler", "prometheus")
        prometheus = Prometheus(stack.ports["PROMETHEUS_PORT"])
        await prometheus.sees(worker=2, scheduler=2)
        say("Prometheus sees two workers and two schedulers")
        async with stack.connect("producer") as producer:
            load = Load(producer, 100, over_s=1)
            await load.produce()
            await load.all_complete()
        stack.up("--scale", "worker=3", "--no-recreate", "worker", "scheduler", "prometheus")
        await prometheus.sees(worker=3, scheduler=2)
        say("Prometheus sees the third worker")
        checked = [query.replace("$queue", ".*") for query in queries() if not query.startswith("label_values")]
        results = {query: await prometheus.query(query) for query in checked}
        assert await prometheus.query("sum(choria_asyncjobs_handler_runtime_count)") == [100.0]
        assert await prometheus.query('choria_asyncjobs_queue_items{queue="DEFAULT"}') == [0.0]
        assert await prometheus.query("sum(choria_asyncjobs_election_leader)") == [1.0]
        say(f"all {len(results)} queries are valid, and {sum(map(bool, results.values()))} return data")
        check_logs(stack)


def build(stack: Stack, docker: Docker) -> None:
    stack.compose("build")
    size = int(docker("image", "inspect", "--format", "{{.Size}}", IMAGE))
    say(f"built the image, {size / 1e6:.0f} MB with its base")


def check_isolation(stack: Stack) -> None:
    """Check that no container has more privileges than it needs."""
    for service in ("nats", "worker", "scheduler", "admin"):
        for container in stack.containers(service):
            info = stack.inspect(container)
            host = info["HostConfig"]
            assert host["ReadonlyRootfs"], service
            assert host["CapDrop"] == ["ALL"], service
            assert not host["CapAdd"], service
            assert host["SecurityOpt"] == ["no-new-privileges:true"], service
            assert info["Config"]["User"] == "10001:10001", service
            assert host["Memory"], service
            assert host["LogConfig"]["Config"], service
            bindings = [binding for port in (host["PortBindings"] or {}).values() for binding in port]
            assert all(binding["HostIp"] == "127.0.0.1" for binding in bindings), service
    say("containers have no more privileges than they need")


def check_api(stack: Stack, task_id: str) -> None:
    """Check that the API requires a token, answers on this host with one, and that ajc works in its container."""
    assert stack.request(f"/v1/tasks/{task_id}", token=None) == (401, None)
    status, body = stack.request(
        f"/v1/tasks/{task_id}", token=(stack.folder / "secrets/admin_token").read_text().strip()
    )
    assert (status, body["id"], body["state"]) == (200, task_id, "complete")
    assert "DEFAULT" in stack.compose("exec", "--no-TTY", "admin", "ajc", "queues", "list")
    say("the API and ajc work")


def check_logs(stack: Stack) -> None:
    assert stack.unexpected_logs() == [], "\n".join(stack.unexpected_logs())


SUITES = {
    "quick": (quick,),
    "full": (failures, cluster, metrics),
    "cluster": (cluster,),
    "metrics": (metrics,),
    "prepare": (),
}


def main() -> int:
    wanted = sys.argv[1] if len(sys.argv) > 1 else "quick"
    if wanted not in SUITES:
        fail(f"unknown suite {wanted!r}: use one of {', '.join(SUITES)}")
    bases = Bases()
    with engine(bases) as docker:
        bases.prepare(docker)
        for scenario in SUITES[wanted]:
            say(f"---- {scenario.__name__}: {scenario.__doc__}")
            asyncio.run(scenario(docker))
    if SUITES[wanted]:
        print(f"{len(SUITES[wanted])} passed, 0 failed", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
