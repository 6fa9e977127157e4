"""Run the demo: ``python -m examples.demo [FOLDER]``."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from rich.console import Console

from ajobs.admin.dev.stack import LocalStack
from ajobs.client import Client, Queue
from ajobs.protocol.errors import AjobsError
from examples.demo.display import show_progress, show_summary
from examples.demo.plan import MAX_FILES, find_files, make_plan

QUEUE = Queue(name="DEMO", max_run_time=30, max_concurrent=200)
REPORT = Path("demo-report.md")
# The report task carries the results of all files, a few hundred bytes each.
SERVER_CONFIG = "max_payload: 8MB\n"


async def run(folder: Path, report: Path, console: Console) -> bool:
    """Run the demo and return whether every task reached its expected state."""
    files = find_files(folder)
    if not files:
        console.print(f"[red]no files found in {folder}[/]: choose another folder with DEMO_PATH=...")
        return False
    if len(files) > MAX_FILES:
        console.print(f"using the first {MAX_FILES:,} of {len(files):,} files in {folder}")
        files = files[:MAX_FILES]
    stack = LocalStack.run(
        "examples.demo.tasks:router",
        queue=QUEUE.name,
        concurrency=20,
        config=SERVER_CONFIG,
        # The worker and this client both create the queue if it does not exist, so their options must agree.
        worker_options=("--max-run-time", f"{QUEUE.max_run_time.total_seconds():g}s", "--max-concurrent", "200"),
    )
    console.print("starting nats-server and a worker")
    async with stack as running, Client.connect(running.server.url, queue=QUEUE) as client:
        plan = make_plan(client, files, report)
        states = await show_progress(client, plan, running.check, console)
        tasks = [task async for task in client.tasks()]
    return show_summary(plan, states, tasks, console)


def main() -> int:
    """Run the demo on the folder given on the command line."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    console = Console()
    if not folder.is_dir():
        console.print(f"[red]{folder} is not a folder[/]: choose one with DEMO_PATH=...")
        return 2
    # Treat SIGTERM like Ctrl-C: stop and remove everything.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return 0 if asyncio.run(run(folder, REPORT.resolve(), console)) else 1
    except KeyboardInterrupt:
        console.print("stopped, everything is cleaned up")
        return 130
    except AjobsError as e:
        console.print(f"[red]{e}[/]", highlight=False)
        return 1


if __name__ == "__main__":
    sys.exit(main())
