"""``python -m asyncjobs.admin.dev``: the local development stack until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.panel import Panel

from asyncjobs.admin.dev.stack import LocalStack
from asyncjobs.protocol.errors import AsyncJobsError
from asyncjobs.protocol.subjects import DEFAULT_QUEUE

NATS_PORT = 4222
LOOK_S = 0.5

app = App(name="python -m asyncjobs.admin.dev", help="Run a nats-server and workers on this machine until Ctrl-C.")


@app.default
def develop(
    router: str,
    *,
    queue: Annotated[str, Parameter(env_var="AJ_WORK_QUEUE")] = DEFAULT_QUEUE,
    concurrency: Annotated[int, Parameter(env_var="AJ_CONCURRENCY")] = 10,
    workers: int = 1,
    port: int | None = None,
) -> int:
    """Run a nats-server with a temporary store, and workers, on the loopback address until Ctrl-C.

    Parameters
    ----------
    router
        Where the handlers are: ``package.module:name`` of a Router.
    queue
        The queue to work on.
    concurrency
        How many tasks each worker runs at once.
    workers
        How many worker processes to run.
    port
        The server's port. Default: 4222 when it is free, else another one.
    """
    chosen = (NATS_PORT if _is_free(NATS_PORT) else 0) if port is None else port
    # Being told to end is the same as Ctrl-C: everything is stopped and removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        asyncio.run(_run(router, queue, concurrency, workers, chosen))
    except KeyboardInterrupt:
        return 0
    except AsyncJobsError as e:
        print(f"asyncjobs dev: {e}", file=sys.stderr)  # noqa: T201 - what the user reads
        return 1
    return 0


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


async def _run(router: str, queue: str, concurrency: int, workers: int, port: int) -> None:
    console = Console(stderr=True)
    async with LocalStack.run(router, queue=queue, concurrency=concurrency, workers=workers, port=port) as stack:
        console.print(Panel(_how_to_connect(stack.server.url, queue), title="asyncjobs is running", expand=False))
        try:
            while True:
                stack.check()
                await asyncio.sleep(LOOK_S)
        finally:
            console.print("stopping")


def _how_to_connect(url: str, queue: str) -> str:
    return (
        f"server   [bold]{url}[/]  (its store is temporary)\n"
        f"queue    [bold]{queue}[/]\n\n"
        f"in another terminal:  [bold]export NATS_URL={url}[/]\n"
        "then in Python:       from asyncjobs.client import BlockingClient\n"
        f'                      with BlockingClient(queue="{queue}") as client:\n'
        '                          task = client.enqueue("file:digest", {"path": "README.md"})\n'
        "                          print(client.result(task.id, timeout=30))\n\n"
        "Ctrl-C stops everything and removes the store"
    )


if __name__ == "__main__":
    sys.exit(app())
