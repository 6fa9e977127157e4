"""Stopping a worker as an operator or a container engine does."""

from __future__ import annotations

import signal

import pytest

from ajobs.client import Client, Queue, TaskState
from ajobs.testing.processes import worker_process
from ajobs.testing.workers import wait_state

HANDLERS = "ajobs.testing.handlers:router"


@pytest.fixture
async def client(server):
    async with Client.connect(server.url, queue=Queue(name="Q", max_run_time="1m")) as connected:
        yield connected


def arguments(server, *more):
    return (HANDLERS, "--queue", "Q", "--server", server.url, "--concurrency", "2", *more)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_running_tasks_finish_waiting_ones_stay_and_the_exit_status_is_0(server, client, number):
    async with worker_process(*arguments(server)) as worker:
        running = await client.enqueue("slow", 0.5)
        await wait_state(client, running.id, TaskState.ACTIVE)
        worker.signal(number)
        await worker.wait_log("stopping on")
        later = await client.enqueue("echo", 1)
        assert await worker.ended() == 0
        assert await client.result(running.id) == "done"
        assert (await client.load(later.id)).state is TaskState.NEW


@pytest.mark.parametrize(
    ("task_type", "payload"), [("slow", 60), ("thread", 4.0), ("stubborn", None), ("clumsy", None)]
)
async def test_tasks_that_exceed_the_grace_period_are_handed_back_without_counting_the_try(
    server, client, task_type, payload
):
    async with worker_process(*arguments(server, "--grace", "100ms")) as worker:
        task = await client.enqueue(task_type, payload)
        await wait_state(client, task.id, TaskState.ACTIVE)
        worker.signal(signal.SIGTERM)
        assert await worker.ended() == 0, worker.log
        handed_back = await client.load(task.id)
        assert (handed_back.state, handed_back.tries) == (TaskState.RETRY, 0)
        assert (await client.queue_info("Q")).items == 1
    # Another worker receives it immediately, not after the max run time.
    async with worker_process(*arguments(server)):
        await wait_state(client, task.id, TaskState.ACTIVE)


async def test_a_second_signal_does_not_wait_for_the_grace_period(server, client):
    async with worker_process(*arguments(server, "--grace", "1h")) as worker:
        task = await client.enqueue("slow", 3600)
        await wait_state(client, task.id, TaskState.ACTIVE)
        worker.signal(signal.SIGTERM)
        await worker.wait_log("waiting up to")
        worker.signal(signal.SIGTERM)
        assert await worker.ended() == 0
        assert (await client.load(task.id)).state is TaskState.RETRY


async def test_the_task_of_a_killed_worker_runs_again_when_its_max_run_time_ends(server):
    queue = Queue(name="Q", max_run_time=0.5)
    async with Client.connect(server.url, queue=queue) as client:
        async with worker_process(*arguments(server)) as worker:
            task = await client.enqueue("slow", 0.4)
            await wait_state(client, task.id, TaskState.ACTIVE)
            await worker.kill()
        async with worker_process(*arguments(server)):
            assert await client.result(task.id, timeout=60) == "done"
            assert (await client.load(task.id)).tries == 2


async def test_options_come_from_environment_variables(server, client):
    environment = {"AJ_ROUTER": HANDLERS, "AJ_WORK_QUEUE": "ENV", "AJ_CONCURRENCY": "7", "NATS_URL": server.url}
    async with worker_process(**environment) as worker:
        line = await worker.wait_log("worker ready")
        assert "queue ENV, 7 slots" in line
        task = await client.enqueue("echo", 5, queue="ENV")
        assert await client.result(task.id, timeout=30) == 5


@pytest.mark.parametrize(
    ("wrong", "code", "text"),
    [
        (["no.such.module"], 2, "no module"),
        (["ajobs.testing.handlers:missing"], 2, "it has router"),
        ([HANDLERS, "--queue", "a.b"], 2, "queue name"),
        ([HANDLERS, "--concurrency", "0"], 2, "concurrency"),
        ([HANDLERS, "--retry-policy", "9m"], 2, "retry policy"),
        ([HANDLERS, "--discard", "retry"], 2, "discarded"),
        ([HANDLERS, "--grace", "soon"], 2, "duration"),
        ([HANDLERS, "--grace=-5s"], 2, "invalid --grace '-5s': must not be negative"),
        ([HANDLERS, "--max-run-time", "0s"], 2, "invalid --max-run-time '0s': must be greater than 0"),
        ([HANDLERS, "--verification-key", "xyz"], 2, "public key"),
        ([HANDLERS, "--queue", "MISSING", "--bind-queue"], 1, "MISSING"),
        ([HANDLERS, "--server", "nats://127.0.0.1:1"], 1, "cannot connect"),
        ([HANDLERS, "--nonsense"], 2, "--nonsense"),
    ],
    ids=lambda value: " ".join(value[1:]) if isinstance(value, list) else None,
)
async def test_an_invalid_option_prints_one_clear_line(server, wrong, code, text):
    async with worker_process(*wrong, NATS_URL=server.url) as worker:
        assert await worker.ended() == code
        assert text in "".join(worker.log)
        assert "Traceback" not in "".join(worker.log)
