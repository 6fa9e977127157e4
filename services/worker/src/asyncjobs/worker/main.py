"""The command ``asyncjobs-worker``."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from cyclopts import App, Parameter

from asyncjobs.client.client import Client
from asyncjobs.client.settings import Settings
from asyncjobs.protocol.durations import MILLISECOND_NS, SECOND_NS, parse_duration
from asyncjobs.protocol.errors import AsyncJobsError
from asyncjobs.protocol.queue import Queue
from asyncjobs.worker.loading import load_router
from asyncjobs.worker.router import Router
from asyncjobs.worker.worker import Worker

USAGE_ERROR = 2
FAILED = 1

logger = logging.getLogger("asyncjobs.worker")

app = App(name="asyncjobs-worker", help="Process the tasks of a queue with the handlers of a router.")


def _env(*names: str) -> Parameter:
    return Parameter(env_var=names)


@app.default
def work(  # noqa: PLR0913 - one argument an option
    router: Annotated[str, _env("AJ_ROUTER")],
    *,
    queue: Annotated[str | None, _env("AJ_WORK_QUEUE", "AJ_QUEUE")] = None,
    concurrency: Annotated[int, _env("AJ_CONCURRENCY")] = 10,
    bind: Annotated[bool, _env("AJ_BIND")] = False,
    max_run_time: Annotated[str | None, _env("AJ_MAX_RUN_TIME")] = None,
    max_concurrent: Annotated[int | None, _env("AJ_MAX_CONCURRENT")] = None,
    grace: Annotated[str, _env("AJ_GRACE")] = "20s",
    retry_policy: Annotated[str, _env("AJ_RETRY_POLICY")] = "default",
    discard: Annotated[tuple[str, ...], _env("AJ_DISCARD")] = (),
    server: Annotated[str | None, _env("AJ_NATS_URL")] = None,
    context: Annotated[str | None, _env("AJ_NATS_CONTEXT")] = None,
    signing_seed_file: Annotated[str | None, _env("AJ_SIGNING_SEED_FILE")] = None,
    verification_key: Annotated[str | None, _env("AJ_VERIFICATION_KEY")] = None,
    signatures_optional: Annotated[bool, _env("AJ_SIGNATURES_OPTIONAL")] = False,
    monitor: Annotated[int | None, _env("AJ_MONITOR")] = None,
    debug: Annotated[bool, _env("AJ_DEBUG")] = False,
) -> int:
    """Process the tasks of a queue with the handlers of a router.

    Stops on SIGTERM and SIGINT: takes no more tasks, lets the running ones finish, hands back what does not finish
    within the grace period. A second signal does that at once.

    Parameters
    ----------
    router
        Where the handlers are: ``package.module:name`` of a Router.
    queue
        The queue to work on; it is made when it does not exist. Default: DEFAULT.
    concurrency
        How many tasks this process runs at once.
    bind
        Fail when the queue does not exist, instead of making it.
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
    monitor
        Serve Prometheus metrics on this loopback port.
    debug
        Log every step.
    """
    _start_logging(debug=debug)
    try:
        settings: Settings = {
            "queue": _queue(queue, max_run_time, max_concurrent),
            "bind": bind,
            "concurrency": concurrency,
            "retry_policy": retry_policy,
            "discard_states": discard,
            "context": context,
            "signing_seed_file": signing_seed_file,
            "signatures_optional": signatures_optional,
            "prometheus_port": monitor,
            "name": f"asyncjobs-worker {router}",
        }
        if verification_key is not None:
            settings["verification_key_file" if os.path.exists(verification_key) else "verification_key"] = (  # noqa: PTH110
                verification_key
            )
        grace_s = parse_duration(grace) / SECOND_NS
        handlers = load_router(router)
        return _run(_serve(server, settings, handlers, grace_s))
    except AsyncJobsError as e:
        print(f"asyncjobs-worker: {e}", file=sys.stderr)  # noqa: T201 - what the user reads
        return USAGE_ERROR if e.code == "invalid_argument" else FAILED


def _queue(name: str | None, max_run_time: str | None, max_concurrent: int | None) -> Queue | str | None:
    if max_run_time is None and max_concurrent is None:
        return name
    settings: dict[str, Any] = {"name": name or "DEFAULT"}
    if max_run_time is not None:
        settings["max_run_time_ns"] = max(parse_duration(max_run_time), MILLISECOND_NS)
    if max_concurrent is not None:
        settings["max_concurrent"] = max_concurrent
    return Queue(**settings)


async def _serve(server: str | None, settings: Settings, router: Router, grace_s: float) -> int:
    async with Client.connect(server, logger=logger, **settings) as client:
        worker = Worker(client, router, grace_s=grace_s, logger=logger)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _stop, worker, number)
        logger.info(
            "worker ready: queue %s, %d slots, task types %s",
            client.queue.name,
            client.options.concurrency,
            ", ".join(task_type or "(all)" for task_type in router.task_types),
        )
        await worker.run()
        logger.info("worker stopped")
        stuck = worker.stuck
    if stuck:
        # Python would wait for them at exit. Their tasks were handed back.
        logger.warning("leaving %d handlers behind that do not end", stuck)
        logging.shutdown()
        os._exit(0)
    return 0


def _stop(worker: Worker, number: signal.Signals) -> None:
    logger.info("stopping on %s", number.name)
    worker.stop()


def _run(main: Coroutine[Any, Any, int]) -> int:
    run: Callable[[Coroutine[Any, Any, int]], int]
    try:
        import uvloop  # it is not there on Windows
    except ImportError:
        run = asyncio.run
    else:
        run = uvloop.run
    return run(main)


def _start_logging(*, debug: bool) -> None:
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.INFO,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        stream=sys.stderr,
    )


def main() -> None:
    """Run the command with the arguments of this process."""
    sys.exit(app())


if __name__ == "__main__":
    main()
