"""Programs as handlers."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from ajobs.client import Client, Queue, TaskState
from ajobs.protocol.errors import ConfigurationError
from ajobs.testing.processes import wait_gone
from ajobs.testing.workers import working
from ajobs.worker import Command, Router


@pytest.fixture
async def client(server):
    queue = Queue(name="Q", max_run_time=20)
    async with Client.connect(server.url, queue=queue) as connected:
        yield connected


@pytest.fixture
def script(tmp_path):
    def write(text: str, mode: int = 0o755) -> str:
        path = tmp_path / "command.sh"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(mode)
        return str(path)

    return write


async def ended(client: Client, command: Command | str, *arguments: str, payload=None):
    router = Router()
    router.add("t", command if isinstance(command, Command) else Command(command, *arguments))
    async with working(client, router):
        return await client.wait((await client.enqueue("t", payload, max_tries=1)).id, timeout=30)


def result(task):
    return json.loads(bytes(task.result.payload))


async def test_the_task_is_in_a_file_and_both_outputs_are_the_result(client, script):
    task = await ended(client, script('cat "$CHORIA_AJ_TASK"; echo; echo "$CHORIA_AJ_TASK" >&2'), payload={"a": 1})
    document, path, _ = result(task).split("\n")
    assert json.loads(document)["id"] == task.id
    assert json.loads(document)["state"] == "active"
    assert json.loads(document)["payload"] == "eyJhIjoxfQ=="
    assert not Path(path).exists()  # noqa: ASYNC240 - one look


async def test_a_program_sees_its_arguments_and_no_secrets_of_the_worker(client, script, monkeypatch):
    monkeypatch.setenv("SECRET", "sesame")
    command = Command(script('echo "$1 $GIVEN [$SECRET] [$PATH]"; cat'), "one", environment={"GIVEN": "two"})
    task = await ended(client, command)
    assert result(task) == f"one two [] [{os.environ['PATH']}]\n"


async def test_a_status_other_than_0_fails_the_try_with_the_end_of_the_output(client, script):
    task = await ended(client, script("echo what went wrong; exit 3"))
    assert task.state is TaskState.EXPIRED
    assert task.last_err.endswith("command.sh ended with status 3: what went wrong")


async def test_a_program_ended_by_a_signal_fails_the_try(client, script):
    assert "was ended by SIGKILL" in (await ended(client, script("kill -9 $$"))).last_err


@pytest.mark.parametrize("mode", [0o644])
async def test_a_program_without_execute_permission_fails_the_try(client, script, mode):
    assert "Permission denied" in (await ended(client, script("exit 0", mode))).last_err


async def test_a_missing_program_fails_the_try(client):
    assert "cannot run ./missing.sh: No such file" in (await ended(client, "./missing.sh")).last_err


async def test_the_error_names_a_missing_folder_or_interpreter(client, script):
    odd = script("")
    Path(odd).write_text("#!/no/such/interpreter\n")  # noqa: ASYNC240 - one line
    assert "the interpreter in its first line does not exist" in (await ended(client, odd)).last_err
    elsewhere = await ended(client, Command("/bin/echo", folder="/no/such/folder"))
    assert elsewhere.last_err == "cannot run /bin/echo: no such folder: /no/such/folder"


async def test_output_that_is_not_utf_8_is_converted(client, script):
    assert result(await ended(client, script(r"printf 'a\377b'"))) == "a\N{REPLACEMENT CHARACTER}b"


async def test_output_that_is_too_long_is_cut_off_with_a_note(client, script):
    command = Command(script("head -c 300000 /dev/zero | tr '\\0' x"), max_output=1_000)
    assert result(await ended(client, command)) == "x" * 1_000 + "\n[cut off after 1000 of 300000 bytes]"


async def test_at_the_time_limit_all_children_of_a_program_end(server, script, tmp_path):
    queue = Queue(name="Q", max_run_time=1)
    async with Client.connect(server.url, queue=queue) as client:
        task = await ended(client, script(f"sleep 600 & echo $! > {tmp_path}/pid; wait"))
    assert "max run time of 1s" in task.last_err
    await wait_gone(int((tmp_path / "pid").read_text()))


async def test_a_program_that_ignores_the_first_signal_is_killed(server, script, tmp_path, monkeypatch):
    monkeypatch.setattr("ajobs.worker.handlers.command.TERMINATE_S", 0.1)
    queue = Queue(name="Q", max_run_time=1)
    async with Client.connect(server.url, queue=queue) as client:
        task = await ended(client, script(f"trap '' TERM; echo $$ > {tmp_path}/pid; while :; do sleep 1; done"))
    assert "max run time" in task.last_err
    await wait_gone(int((tmp_path / "pid").read_text()))


async def test_a_child_left_running_does_not_delay_the_result(client, script, tmp_path):
    task = await ended(client, script(f"sleep 600 & echo $! > {tmp_path}/pid; echo done"))
    assert result(task) == "done\n"
    await wait_gone(int((tmp_path / "pid").read_text()))


async def test_a_detached_child_does_not_delay_the_result(client, script, tmp_path):
    task = await ended(
        client, script(f"setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 600' & sleep 0.3; echo done")
    )
    assert result(task) == "done\n"
    os.kill(int((tmp_path / "pid").read_text()), 9)


@pytest.mark.parametrize("wrong", [("",), ("x", {"shell": True}), ("x", {"max_output": 0})])
def test_an_invalid_command_is_refused(wrong):
    path, *options = wrong
    with pytest.raises(ConfigurationError):
        Command(path, **(options[0] if options else {}))


async def test_many_commands_run_at_once(client, script):
    router = Router()
    router.command("t", script("echo ok"))
    async with working(client, router):
        tasks = [await client.enqueue("t") for _ in range(30)]
        results = await asyncio.gather(*(client.result(task.id, timeout=60) for task in tasks))
    assert results == ["ok\n"] * 30
