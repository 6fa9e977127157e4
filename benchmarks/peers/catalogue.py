"""The systems that are measured, with their installation, their worker command and their limits."""

from __future__ import annotations

from typing import NamedTuple


class System(NamedTuple):
    """One job queue."""

    name: str
    script: str
    server: str
    """``nats`` or ``redis``."""
    requirements: tuple[str, ...]
    """The packages to install; empty for this repository."""
    worker: tuple[str, ...]
    """The command of one worker process; ``{slots}`` is the number of tasks that it runs at once."""
    notes: str
    has_bulk: bool = False
    has_results: bool = True
    has_threads: bool = False
    """Whether each slot is a thread. Such a system is not measured with a thousand slots."""
    environment: tuple[tuple[str, str], ...] = ()


OURS = "ajobs"
CLOSEST = "taskiq-nats"
"""The peer that stores its tasks in JetStream, too."""

SYSTEMS = (
    System(
        OURS, "ours", "nats", (),
        ("python", "-m", "ajobs.worker.process.main", "ours:router", "--queue", "BENCH", "--concurrency", "{slots}",
         "--server", "{url}", "--log-level", "warning"),
        "task, state, result and events; in files, every change is a compare-and-set", has_bulk=True,
    ),
    System(
        "taskiq-nats", "taskiq_nats_", "nats", ("taskiq==0.13.0", "taskiq-nats==0.7.0", "uvloop"),
        ("taskiq", "worker", "taskiq_nats_:broker", "--workers", "1", "--max-async-tasks", "{slots}",
         "--max-prefetch", "{slots}", "--log-level", "WARNING"),
        "no result, no state; in files", has_bulk=True, has_results=False,
    ),
    System(
        "taskiq-nats, results", "taskiq_nats_", "nats", ("taskiq==0.13.0", "taskiq-nats==0.7.0", "uvloop"),
        ("taskiq", "worker", "taskiq_nats_:broker", "--workers", "1", "--max-async-tasks", "{slots}",
         "--max-prefetch", "{slots}", "--log-level", "WARNING"),
        "result in an object store, no state; in files", has_bulk=True, environment=(("BENCH_RESULTS", "yes"),),
    ),
    System(
        "streaQ", "streaq_", "redis", ("streaq==7.2.0", "uvloop"),
        ("streaq", "run", "streaq_:worker"), "result; in Redis's memory", has_bulk=True,
    ),
    System(
        "SAQ", "saq_", "redis", ("saq[redis,hiredis]==0.26.4", "typing-extensions", "uvloop"),
        ("saq", "saq_.settings", "--quiet"), "result; in Redis's memory",
    ),
    System(
        "arq", "arq_", "redis", ("arq==0.28.0", "uvloop"),
        ("arq", "arq_.WorkerSettings"), "result; in Redis's memory",
    ),
    System(
        "dramatiq", "dramatiq_", "redis", ("dramatiq[redis]==2.2.1",),
        ("dramatiq", "dramatiq_", "--processes", "1", "--threads", "{slots}"),
        "result; in Redis's memory; threads, enqueued one after another", has_threads=True,
    ),
    System(
        "Celery", "celery_", "redis", ("celery[redis]==5.7.0",),
        ("celery", "-A", "celery_", "worker", "--pool", "threads", "--concurrency", "{slots}", "--loglevel", "ERROR"),
        "result; in Redis's memory; threads, enqueued one after another", has_threads=True,
    ),
)  # fmt: skip
