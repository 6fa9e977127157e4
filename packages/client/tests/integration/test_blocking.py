"""The client for code that is not async. Its server runs in a thread's loop, for nothing here is."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from ajobs.client import BlockingClient, Client, Queue
from ajobs.protocol.errors import (
    ConfigurationError,
    ConnectionFailedError,
    QueueNotFoundError,
    RequestTimeoutError,
    TaskNotFoundError,
)
from ajobs.protocol.subjects import TASKS_STREAM
from ajobs.testing.nats_server import NatsServer
from tests import ROOT


@pytest.fixture
def url(tmp_path):
    server = NatsServer(tmp_path)
    asyncio.run(server.start())
    yield server.url
    asyncio.run(server.stop())


def test_everything_works_without_a_loop(url):
    with BlockingClient(url, queue="Q") as client:
        task = client.enqueue("t", 1, max_tries=2)
        assert client.load(task.id) == task
        assert len(client.enqueue_many(client.new_task("t", n) for n in range(20)).enqueued) == 20
        assert len({found.id for found in client.tasks(queue="Q")}) == 21
        assert client.create_queue(Queue(name="OTHER")).name == "OTHER"
        assert client.retry(task.id, queue="OTHER").queue == "OTHER"
        assert client.configure_queue("OTHER", max_tries=3) == client.join_queue("OTHER")
        assert [info.items for info in client.queues()] == [1, 20]
        assert client.queue_info().queue.name == "Q"
        assert client.purge_queue("OTHER") == 1
        assert client.store_info().tasks == 21
        with pytest.raises(RequestTimeoutError):
            client.result(task.id, timeout=0.05)
        with pytest.raises(RequestTimeoutError):
            client.wait(task.id, timeout=0.05)
        client.delete(task.id)
        client.delete_queue("OTHER")
        with pytest.raises(TaskNotFoundError):
            client.load(task.id)
        with pytest.raises(QueueNotFoundError):
            client.join_queue("OTHER")
    client.close()


def test_many_threads_share_one_client_and_clients_share_one_thread(url):
    with BlockingClient(url) as client, BlockingClient(url) as other, ThreadPoolExecutor(8) as threads:
        tasks = list(threads.map(lambda n: client.enqueue("t", n), range(100)))
        assert {other.load(task.id).id for task in tasks} == {task.id for task in tasks}
        assert sum(thread.name == "ajobs-client" for thread in threading.enumerate()) == 1


def test_an_abandoned_iteration_leaves_nothing_behind(url):
    with BlockingClient(url) as client:
        client.enqueue_many(client.new_task("t", n) for n in range(50))
        found = client.tasks()
        next(found)
        found.close()
        info = asyncio.run(consumers(url))
        assert info == 0


async def consumers(url):
    async with Client.connect(url) as client:
        return (await client.storage.find_stream(TASKS_STREAM))["state"]["consumer_count"]


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_client_that_is_used_after_a_fork_raises_an_error(url):
    with BlockingClient(url) as client:
        child = os.fork()
        if child == 0:
            try:
                client.enqueue("t", 1)
            except ConnectionFailedError:
                with BlockingClient(url) as fresh:
                    fresh.enqueue("t", 1, task_id="from-the-child")
                os._exit(0)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert client.load("from-the-child").type == "t"


def test_an_interrupt_ends_the_waiting(url):
    program = (
        "import sys\nfrom ajobs.client import BlockingClient\n"
        "with BlockingClient(sys.argv[1]) as client:\n"
        "    task = client.enqueue('t')\n"
        "    print('waiting', flush=True)\n"
        "    client.wait(task.id)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"waiting\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert b"KeyboardInterrupt" in errors


def test_metrics_are_served_on_the_loopback_address(url):
    with BlockingClient(url, queue="METERED", prometheus_port=0) as client:
        port = client._client.metrics_port
        client.enqueue("t", 1)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            text = answer.read().decode()
    assert 'choria_asyncjobs_queue_enqueue_count_total{queue="METERED"} 1.0' in text
    assert 'choria_asyncjobs_task_update_total{state="new"}' in text


def test_the_error_for_a_used_port_names_it(url):
    with BlockingClient(url, prometheus_port=0) as client:
        port = client._client.metrics_port
        with pytest.raises(ConfigurationError, match=str(port)):
            BlockingClient(url, prometheus_port=port)


def test_schedules_and_workers_work_without_a_loop(url):
    with BlockingClient(url, queue="Q") as client:
        made = client.schedules.create("s", "@daily", "t", queue="Q", payload={"a": 1})
        assert client.schedules.load("s") == made
        assert client.schedules.pause("s").options.paused
        assert not client.schedules.resume("s").options.paused
        assert client.schedules.update("s", schedule="@hourly").schedule.schedule == "@hourly"
        assert client.schedules.run_now("s").payload == b'{"a":1}'
        client.schedules.delete("s")
        assert client.schedules.all() == []
        assert client.workers() == []
