"""The command ``ajobs-worker``."""

from __future__ import annotations

import asyncio
import os
import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from ajobs.client.observability.exposition import LOOPBACK
from ajobs.client.settings import Settings
from ajobs.protocol.durations import MILLISECOND_NS, SECOND_NS, from_ns, parse_duration
from ajobs.protocol.errors import ConfigurationError
from ajobs.protocol.subjects import DEFAULT_QUEUE
from ajobs.runtime.command import Program, run_app
from ajobs.runtime.environment import normalize_environment
from ajobs.runtime.logging import start_logging
from ajobs.runtime.program import run_program
from ajobs.worker.process.serve import QueueShare, ServiceOptions, serve
from ajobs.worker.process.supervisor import Supervisor, code_changes, supervised_number
from ajobs.worker.routing.loading import load_router
from ajobs.worker.routing.router import Router
from ajobs.worker.routing.yaml import WorkerConfig, load_config, router_of

app = App(
    name="ajobs-worker",
    help="Process the tasks of queues with the handlers of a router.",
    version=lambda: version_of("ajobs-worker"),
    default_parameter=Parameter(negative=()),
)


def _env(*names: str) -> Parameter:
    return Parameter(env_var=names, show_default=lambda value: value or None)


@app.default
def work(  # noqa: PLR0913 - one argument an option
    router: Annotated[str | None, _env("AJ_ROUTER")] = None,
    *,
    config: Annotated[str | None, _env("AJ_CONFIG")] = None,
    queue: Annotated[tuple[str, ...], _env("AJ_WORK_QUEUE", "AJ_QUEUE")] = (),
    weight: Annotated[tuple[str, ...], _env("AJ_WEIGHT")] = (),
    concurrency: Annotated[int, _env("AJ_CONCURRENCY")] = 10,
    processes: Annotated[int, _env("AJ_PROCESSES")] = 1,
    watch: Annotated[bool, _env("AJ_WATCH")] = False,
    bind_queue: Annotated[bool, _env("AJ_BIND_QUEUE"), Parameter(name=("--bind-queue", "--bind"))] = False,
    max_run_time: Annotated[str | None, _env("AJ_MAX_RUN_TIME")] = None,
    max_concurrent: Annotated[int | None, _env("AJ_MAX_CONCURRENT")] = None,
    grace: Annotated[str, _env("AJ_GRACE")] = "20s",
    retry_policy: Annotated[str | None, _env("AJ_RETRY_POLICY")] = None,
    discard: Annotated[tuple[str, ...], _env("AJ_DISCARD")] = (),
    server: Annotated[str | None, _env("AJ_NATS_URL")] = None,
    context: Annotated[str | None, _env("AJ_NATS_CONTEXT")] = None,
    signing_seed_file: Annotated[str | None, _env("AJ_SIGNING_SEED_FILE")] = None,
    verification_key: Annotated[str | None, _env("AJ_VERIFICATION_KEY")] = None,
    signatures_optional: Annotated[bool, _env("AJ_SIGNATURES_OPTIONAL")] = False,
    name: Annotated[str | None, _env("AJ_NAME")] = None,
    monitor: Annotated[int | None, _env("AJ_MONITOR")] = None,
    monitor_host: Annotated[str, _env("AJ_MONITOR_HOST")] = LOOPBACK,
    log_format: Annotated[Literal["text", "json"], _env("AJ_LOG_FORMAT")] = "text",
    log_level: Annotated[str, _env("AJ_LOG_LEVEL")] = "info",
    debug: Annotated[bool, _env("AJ_DEBUG")] = False,
) -> int:
    """Process the tasks of queues with the handlers of a router, or of a configuration file.

    Stops on SIGTERM and SIGINT: takes no more tasks, lets the running ones finish, hands back what does not finish
    within the grace period. A second signal does that at once.

    Parameters
    ----------
    router
        Where the handlers are: ``package.module:name`` of a Router.
    config
        An asyncjobs.yaml that says which handlers there are, instead of a router.
    queue
        A queue to work on, or NAME=N to run at most N of its tasks at once here; it is made when it does not exist.
        Can be repeated, or be several with commas. Default: DEFAULT.
    weight
        NAME=N: start N tasks of this queue for each one of a queue with weight 1, while both have some.
    concurrency
        How many tasks each process runs at once.
    processes
        How many processes to run, each restarted when it ends unasked. With --monitor, each has the next port.
    watch
        Start again when code below the working directory changes, for development.
    bind_queue
        Fail if a queue does not exist. Default: create it.
    max_run_time
        For a queue that is made here: how long a handler may take, such as 90s or 1h.
    max_concurrent
        For a queue that is made here: how many tasks all workers together run at once.
    grace
        How long running tasks may go on after a stop, such as 20s.
    retry_policy
        How long failed tasks wait: default, 10m, 1h or 1m.
    discard
        Delete tasks that reach this state: complete, expired or terminated. Can be repeated.
    server
        URL of a NATS server. Default: what NATS_URL or the NATS context says, else the loopback address.
    context
        Name of a context of the nats command line.
    signing_seed_file
        File with the hex seed that tasks are signed and verified with.
    verification_key
        Public key, or a file of it, in hex, that tasks have to be signed with.
    signatures_optional
        Run tasks without a signature too.
    name
        What this worker is called. Default: host and process id.
    monitor
        Serve metrics, /healthz and /readyz on this port.
    monitor_host
        The address for that.
    log_format
        text, or json with an object a line.
    log_level
        debug, info, warning or error. At info there is a line for each start and end of a task.
    debug
        The same as --log-level debug.
    """
    start_logging(level="debug" if debug else log_level, log_format=log_format)
    grace_s = _positive("grace", grace, or_zero=True) / SECOND_NS
    number = supervised_number()
    if number is None and (processes != 1 or watch):
        return _supervise(processes, grace_s, watch=watch)
    given = None if config is None else load_config(config)
    options = ServiceOptions(
        server=server,
        settings=_settings(
            given,
            concurrency=concurrency,
            retry_policy=retry_policy,
            discard_states=discard,
            context=context,
            signing_seed_file=signing_seed_file,
            verification_key=verification_key,
            signatures_optional=signatures_optional,
            server=server,
        ),
        queues=_queues(queue or _one(given and given.queue), weight),
        new_queue=_new_queue(max_run_time, max_concurrent),
        bind=bind_queue,
        grace_s=grace_s,
        name=name or (given.name if given else "") or None,
        monitor=None if monitor is None else monitor + (number or 0),
        monitor_host=monitor_host,
    )
    return run_program(serve(_router(router, config, given), options))


def _supervise(processes: int, grace_s: float, *, watch: bool) -> int:
    if processes < 1:
        raise ConfigurationError(f"processes is {processes}: use 1 or more")
    supervisor = Supervisor(sys.argv[1:], processes=processes, grace_s=grace_s)
    changes = (lambda: code_changes(Path.cwd())) if watch else None
    return asyncio.run(supervisor.run(changes))


def _router(reference: str | None, path: str | None, config: WorkerConfig | None) -> Router:
    if config is not None and path is not None:
        if reference is not None:
            raise ConfigurationError("give either a router or --config, not both")
        return router_of(config, Path(path).resolve().parent)
    if reference is None:
        raise ConfigurationError("give the router as package.module:name, or --config FILE; --help shows all options")
    return load_router(reference)


def _settings(  # noqa: PLR0913 - what can be said in two places
    config: WorkerConfig | None,
    *,
    concurrency: int,
    retry_policy: str | None,
    discard_states: tuple[str, ...],
    context: str | None,
    signing_seed_file: str | None,
    verification_key: str | None,
    signatures_optional: bool,
    server: str | None,
) -> Settings:
    settings: Settings = {
        "concurrency": concurrency,
        "retry_policy": retry_policy or (config.retry if config else "") or "default",
        "discard_states": discard_states or (config.discard if config else ()),
        "signing_seed_file": signing_seed_file,
        "signatures_optional": signatures_optional or bool(config and config.task_signatures_optional),
        "name": "ajobs-worker",
    }
    context = context or (config.nats if config and server is None else "") or None
    if context is not None:
        settings["context"] = context
    if verification_key is not None:
        is_file = Path(verification_key).exists()
        settings["verification_key_file" if is_file else "verification_key"] = verification_key
    return settings


def _one(text: str | None) -> tuple[str, ...]:
    return (text,) if text else ()


def _queues(queues: tuple[str, ...], weights: tuple[str, ...]) -> tuple[QueueShare, ...]:
    weight_of = {name: _number("weight", name, count) for name, count in _pairs(weights)}
    shares = [
        QueueShare(
            name=name, concurrency=_number("queue", name, count) if count else None, weight=weight_of.pop(name, 1)
        )
        for name, count in _pairs(queues or (DEFAULT_QUEUE,))
    ]
    if weight_of:
        raise ConfigurationError(f"there is a weight for {', '.join(weight_of)}, which is not among the queues")
    return tuple(shares)


def _pairs(texts: tuple[str, ...]) -> list[tuple[str, str]]:
    found = [text.strip().partition("=") for several in texts for text in several.split(",") if text.strip()]
    return [(name, count) for name, _, count in found]


def _number(option: str, name: str, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise ConfigurationError(f"--{option} {name}={text}: use NAME=N with a number of 1 or more")
    return number


def _positive(option: str, text: str, *, or_zero: bool = False) -> int:
    duration_ns = parse_duration(text)
    if duration_ns < 0 or (duration_ns == 0 and not or_zero):
        raise ConfigurationError(f"--{option} {text}: use {'0 or more' if or_zero else 'more than 0'}")
    return duration_ns


def _new_queue(max_run_time: str | None, max_concurrent: int | None) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if max_run_time is not None:
        settings["max_run_time"] = from_ns(max(_positive("max-run-time", max_run_time), MILLISECOND_NS))
    if max_concurrent is not None:
        settings["max_concurrent"] = max_concurrent
    return settings


def main() -> None:
    """Run the command with the arguments of this process."""
    normalize_environment(os.environ)
    sys.exit(run_app(app, Program("ajobs-worker"), sys.argv[1:]))


if __name__ == "__main__":
    main()
