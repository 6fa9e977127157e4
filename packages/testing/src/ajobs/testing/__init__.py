"""Test kit: real nats-servers, clusters, workers and programs for tests. Its pytest fixture is `nats_server`."""

from ajobs.testing.clusters import cluster
from ajobs.testing.nats_server import NatsServer
from ajobs.testing.processes import WorkerProcess, program, worker_process

__all__ = ["NatsServer", "WorkerProcess", "cluster", "program", "worker_process"]
