"""Stress-test workers: run handlers of many kinds while workers are killed at random, with ``make soak``.

The exit status is 0 if every task is in its expected state, no work item is left, the one worker that was never killed
holds no more asyncio tasks, threads, files and child processes than before, and no process outlived its worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from ajobs.client import Client, Queue, TaskState
from ajobs.client.maintenance.janitor import Janitor
from ajobs.protocol.durations import SECOND_NS
from ajobs.protocol.errors import AjobsError
from ajobs.protocol.retry import linear_policy
from ajobs.protocol.states import FINAL_STATES
from ajobs.protocol.task import Task
from ajobs.testing.nats_server import NatsServer
from tests.soak.handlers import Resources

MINUTES = 3.0
VICTIMS = 2
KILL_EVERY_S = (3.0, 8.0)
RATE = 40
"""Tasks per second."""
END_S = 240.0
"""Seconds that the last tasks may take to finish."""
MAX_RUN_TIME_NS = 3 * SECOND_NS

QUICK = linear_policy(steps=2, jitter=0.5, shortest=0.1, longest=1)

COMPLETE = ("ok", "ok", "ok", "ok", "slow", "thread", "process", "command", "failing", "child")
EXPECTED: dict[str, TaskState] = dict.fromkeys(COMPLETE, TaskState.COMPLETE) | {
    "dying": TaskState.COMPLETE,
    "terminating": TaskState.TERMINATED,
    "raising": TaskState.EXPIRED,
    "hanging": TaskState.EXPIRED,
    "process-hanging": TaskState.EXPIRED,
    "process-dying": TaskState.EXPIRED,
}
RARE = ("terminating", "raising", "hanging", "process-hanging", "process-dying", "dying")
"""One task in forty is of one of these types."""
MAX_TRIES = {"raising": 3, "hanging": 2, "process-hanging": 2, "process-dying": 2}

SOAK = "AJ_SOAK_FOLDER"
"""The environment variable that marks the processes of this run."""
OUTLIVE_S = 10.0
"""Seconds within which processes must end after their worker."""

console = Console()


class Workers:
    """The worker processes: one that is never killed and also has its own queue, and some that are killed."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder
        self._log = (folder / "workers.log").open("wb")
        self._killed = 0
        self._processes: list[asyncio.subprocess.Process] = []

    async def start(self, *queues: str) -> asyncio.subprocess.Process:
        arguments = ["tests.soak.handlers:router", "--concurrency", "20", "--retry-policy", "1m", "--server", self._url]
        for queue in queues:
            arguments += ["--queue", queue]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "ajobs.worker.process.main", *arguments, stdout=self._log, stderr=self._log,
            env=os.environ | {SOAK: str(self._folder)},
        )  # fmt: skip
        self._processes.append(process)
        return process

    async def kill_at_random(self) -> None:
        """Kill one victim after another, and restart those that ended by themselves."""
        victims = [await self.start("MIXED", "DEADLY") for _ in range(VICTIMS)]
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(random.uniform(*KILL_EVERY_S)):
                    await asyncio.wait(
                        [asyncio.create_task(each.wait()) for each in victims], return_when="FIRST_COMPLETED"
                    )
            number = random.randrange(VICTIMS)
            if victims[number].returncode is None:
                victims[number].send_signal(random.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
                self._killed += 1
            for index, victim in enumerate(victims):
                if victim.returncode is not None or index == number:
                    await victim.wait()
                    self._processes.remove(victim)
                    victims[index] = await self.start("MIXED", "DEADLY")

    @property
    def killed(self) -> int:
        return self._killed

    async def stop(self) -> None:
        for process in self._processes:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes:
            await process.wait()
        self._log.close()


async def produce(client: Client, seconds: float) -> list[Task]:
    """Enqueue a mix of tasks at a steady rate."""
    enqueued: list[Task] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        number = len(enqueued)
        task_type = RARE[number // 40 % len(RARE)] if number % 40 == 0 else COMPLETE[number % len(COMPLETE)]
        parents = [enqueued[-1], enqueued[-2]] if task_type == "child" else []
        if any(EXPECTED[parent.type] is not TaskState.COMPLETE for parent in parents):
            parents = []
        task = client.new_task(
            task_type,
            number,
            queue="DEADLY" if task_type == "dying" else "MIXED",
            max_tries=MAX_TRIES.get(task_type, 50),
            depends_on=parents,
            load_dependencies=True,
        )
        enqueued.append(await client.enqueue(task))
        if number % (RATE * 10) == 0:
            console.print(f"{number:6} tasks enqueued", style="dim")
        await asyncio.sleep(1 / RATE)
    return enqueued


async def inspect(client: Client, pid: int) -> Resources:
    """Return the resources of the worker that is never killed."""
    task = await client.enqueue("inspect", queue="SURVIVOR")
    resources = await client.result(task.id, Resources, timeout=60)
    assert resources.pid == pid
    return resources


async def outlived(folder: Path) -> list[str]:
    """Return the processes that workers of this run started and that still run after all workers ended."""
    end = time.monotonic() + OUTLIVE_S
    while left := await asyncio.to_thread(_of_this_run, folder):
        if time.monotonic() > end:
            break
        await asyncio.sleep(0.5)
    return left


def _of_this_run(folder: Path) -> list[str]:
    mark = f"{SOAK}={folder}".encode()
    processes: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_bytes().split(b"\0"):
                processes.append(
                    f"{process.name} {(process / 'cmdline').read_bytes().replace(bytes(1), b' ').decode()}"
                )
    return processes


async def finished(client: Client) -> list[Task]:
    """Wait until all tasks are in a final state, for at most `END_S` seconds, and return them."""
    end = time.monotonic() + END_S
    while True:
        tasks = {task.id: task async for task in client.tasks()}
        left = Counter(task.state.value for task in tasks.values() if task.state not in FINAL_STATES)
        if not left or time.monotonic() > end:
            return list(tasks.values())
        console.print(f"waiting for {dict(left)}", style="dim")
        await asyncio.sleep(5)


def judge(enqueued: list[Task], tasks: list[Task], before: Resources, after: Resources, items: int) -> list[str]:
    """Print the outcome and return all deviations from the expected one."""
    wrong: list[str] = []
    table = Table("type", "state", "tasks", "expected", "most tries")
    for task_type, expected in sorted(EXPECTED.items()):
        of_type = [task for task in tasks if task.type == task_type]
        for state, count in Counter(task.state for task in of_type).items():
            most = max((task.tries for task in of_type if task.state is state), default=0)
            table.add_row(task_type, state.value, str(count), expected.value, str(most))
        wrong += [
            f"{task.id} {task.type} is {task.state}: {task.last_err}" for task in of_type if task.state is not expected
        ]
        if expected is TaskState.COMPLETE and task_type != "command":
            wrong += [
                f"{task.id} {task.type} has the wrong result"
                for task in of_type
                if task.result is None
                or task.payload is None
                or msgspec.json.decode(task.result.payload) != 2 * int(task.payload)
            ]
    console.print(table)
    stored = {task.id for task in tasks}
    wrong += [f"{task.id} {task.type} is no longer stored" for task in enqueued if task.id not in stored]
    for field, slack in (("tasks", 3), ("threads", 25), ("files", 10), ("children", 0)):
        held, holds = getattr(before, field), getattr(after, field)
        console.print(f"the surviving worker held {held} {field} before, and holds {holds} now")
        if holds > held + slack:
            wrong.append(f"the surviving worker leaks {field}: {held}, then {holds}")
    if items:
        wrong.append(f"{items} work items are left")
    return wrong


@contextlib.asynccontextmanager
async def background(work: Awaitable[None]) -> AsyncGenerator[None]:
    task = asyncio.ensure_future(work)
    try:
        yield
        if task.done():
            await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def soak(minutes: float, folder: Path) -> int:
    queues = {
        name: Queue(name=name, max_run_time=MAX_RUN_TIME_NS / SECOND_NS) for name in ("MIXED", "SURVIVOR", "DEADLY")
    }
    async with (
        NatsServer.run() as server,
        Client.connect(server.url, queue=queues["MIXED"], request_timeout=2) as client,
    ):
        for name in ("SURVIVOR", "DEADLY"):
            await client.ensure_queue(queues[name])
        workers = Workers(server.url, folder)
        try:
            survivor = await workers.start("SURVIVOR", "MIXED")
            for task_type in COMPLETE:  # resources that are created once, such as processes, are not a leak
                await client.enqueue(task_type, 1, queue="SURVIVOR")
            await asyncio.sleep(5)
            before = await inspect(client, survivor.pid)
            janitor = Janitor(client, grace=30)
            async with background(janitor.run(interval=20)):
                async with background(workers.kill_at_random()):
                    first = await produce(client, minutes * 30)
                    console.print("restarting the server")
                    server.kill()
                    await server.start()
                    second = await produce(client, minutes * 30)
                console.print(f"{len(first) + len(second)} tasks enqueued, {workers.killed} workers killed")
                await workers.start("MIXED", "DEADLY")
                tasks = await finished(client)
                await asyncio.sleep(5)
            after = await inspect(client, survivor.pid)
            items = sum(info.items for info in await client.queues())
            wrong = judge(first + second, tasks, before, after, items)
        finally:
            await workers.stop()
        left = await outlived(folder)
        console.print(f"{len(left)} processes outlived their worker")
        wrong += [f"a process outlived its worker: {each}" for each in left]
    for line in wrong[:20]:
        console.print(line, style="red")
    console.print("[red]failed[/]" if wrong else "[green]passed[/]")
    return 1 if wrong else 0


def main() -> None:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES
    folder = Path(tempfile.mkdtemp(prefix="ajobs-soak-"))
    console.print(f"{minutes:g} minutes; the workers log to {folder}/workers.log")
    try:
        sys.exit(asyncio.run(soak(minutes, folder)))
    except AjobsError as e:
        console.print(f"[red]{e}[/]")
        sys.exit(1)


if __name__ == "__main__":
    main()
