"""All commands of ``ajc``: where they connect to, how they end, and how they report failures."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from ajobs.client import Client
from services.admin.tests.integration.ajc import Ajc

NOWHERE = "nats://127.0.0.1:1"


@pytest.fixture
def ajc(server) -> Ajc:
    return Ajc(server.url)


def write_context(name: str, url: str) -> None:
    folder = os.path.join(os.environ["XDG_CONFIG_HOME"], "nats", "context")  # noqa: PTH118 - as nats does
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - as nats does
    with open(os.path.join(folder, f"{name}.json"), "w") as file:  # noqa: PTH118, PTH123 - as nats does
        file.write(f'{{"url": "{url}"}}')


async def test_a_server_is_found_as_it_is_named(ajc, client, server):
    write_context("OURS", server.url)
    write_context("AWAY", NOWHERE)
    found = await asyncio.gather(
        ajc("queue", "ls", "--json"),
        ajc("queue", "ls", "--json", "--server", server.url, NATS_URL=NOWHERE),
        ajc("--context", "OURS", "queue", "ls", "--json", NATS_URL=NOWHERE),
        ajc("queue", "ls", "--json", CONTEXT="OURS", NATS_URL=NOWHERE),
        ajc("queue", "ls", "--json", NATS_CONTEXT="OURS", NATS_URL=""),
        ajc("queue", "ls", "--json", "--context", "AWAY", "--server", server.url),
    )
    assert [[queue["name"] for queue in ran.json["queues"]] for ran in found] == [["Q"]] * len(found)


async def test_the_context_ajc_is_the_default_when_there_is_one(ajc, client, server):
    write_context("AJC", server.url)
    assert (await ajc("queue", "ls", "--json", NATS_URL="")).json["queues"][0]["name"] == "Q"
    write_context("AJC", NOWHERE)
    assert (await ajc("queue", "ls", "--json")).status == 0  # NATS_URL says more than a default does
    assert NOWHERE in (await ajc("queue", "ls", NATS_URL="")).complaint


async def test_an_unreachable_server_is_reported_with_a_remedy(ajc):
    nowhere, unknown, bad = await asyncio.gather(
        ajc("info", "--server", NOWHERE), ajc("info", "--context", "NOPE"), ajc("info", "--server", "http://x")
    )
    assert (nowhere.status, unknown.status, bad.status) == (1, 2, 2)
    assert "is nats-server running there?" in nowhere.complaint
    assert "unknown NATS context 'NOPE'" in unknown.complaint
    assert "use one of these" in bad.complaint


async def test_a_password_is_not_part_of_a_complaint(ajc):
    ran = await ajc("info", "--server", "nats://ann:secret@127.0.0.1:1", "--debug")
    assert ran.status == 1
    assert "secret" not in ran.err
    assert "Traceback" in ran.err


async def test_debug_logs_and_is_a_variable_too(ajc, client):
    quiet, loud = await asyncio.gather(ajc("task", "view", "nope"), ajc("task", "view", "nope", AJC_DEBUG="1"))
    assert "Traceback" not in quiet.err
    assert "Traceback" in loud.err
    assert loud.err.splitlines()[-1] == quiet.complaint


async def test_an_invalid_command_line_ends_with_2_and_points_to_the_help(ajc):
    cases = {
        "nope": 'ajc: Unknown command "nope"; see ajc --help',
        "task nope": 'ajc: Unknown command "nope"; see ajc task --help',
        "queue new": 'ajc: Command "queue new" parameter QUEUE requires an argument; see ajc queue new --help',
        "queue ls --nope": "ajc: Unknown option: --nope",
        "queue ls x y": "ajc: unexpected argument 'x' 'y'; see ajc queue ls --help",
        "queue new Q --age 5": "invalid duration '5'",
    }
    ran = await asyncio.gather(*(ajc(*words.split()) for words in cases))
    for each, text in zip(ran, cases.values(), strict=True):
        assert each.status == 2
        assert text in each.complaint
        assert each.out == ""


async def test_help_and_version_need_no_server(ajc):
    root, alone, command, version = await asyncio.gather(
        *(ajc(*words.split(), NATS_URL=NOWHERE) for words in ("--help", "", "task add --help", "--version"))
    )
    assert root.status == alone.status == command.status == 0
    assert root.out == alone.out
    assert root.out.startswith("Usage: ajc COMMAND")
    assert "--context" in command.out
    assert "--no-load" not in command.out
    assert version.line[0].isdigit()


def test_help_pages_load_no_slow_modules():
    look = (
        "import sys; from ajobs.admin.cli.main import run; run(['--help']); heavy = {'nats', 'asyncio', 'nacl',"
        "'ajobs.client', 'ajobs.admin.cli.tasks'}; print(sorted(heavy & sys.modules.keys()))"
    )
    ran = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.splitlines()[-1] == "[]"


async def test_ctrl_c_ends_with_130_and_prints_nothing(ajc, client):
    async with ajc.running("task", "watch") as process, asyncio.timeout(60):
        assert process.stderr is not None
        await process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    assert (process.returncode, out, err) == (130, b"", b"")


async def completed(script: str, *words: str) -> list[str]:
    """Return the completions that bash offers for the last word."""
    asked = f'COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}; _ajc; echo "${{COMPREPLY[@]}}"'
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("bash", stdin=pipe, stdout=pipe)
    out, _ = await process.communicate(f"{script}\n{asked}\n".encode())
    return out.decode().split()


async def test_shells_complete_commands_and_options(ajc, tmp_path):
    bash, fish, unknown = await asyncio.gather(
        ajc("completion", SHELL="/usr/bin/bash"),
        ajc("--install-completion", "--shell", "fish", "--output", str(tmp_path / "new" / "ajc.fish")),
        ajc("completion", SHELL="/bin/tcsh"),
    )
    assert bash.status == 0
    assert await completed(bash.out, "ajc", "queue", "pa") == ["pause"]
    assert await completed(bash.out, "ajc", "task", "add", "--d") == ["--deadline", "--depends", "--debug"]
    assert await completed(bash.out, "ajc", "--cont") == ["--context"]
    assert "ajc.fish" in fish.line
    assert "scheduler" in (tmp_path / "new" / "ajc.fish").read_text()
    assert unknown.status == 2
    assert "pass one of bash, zsh, fish" in unknown.complaint


async def test_a_server_without_a_task_store_is_reported_as_such(server):
    async with Client.connect(server.url, no_storage_init=True):
        ran = await Ajc(server.url)("task", "list")
    assert ran.status == 1
    assert ran.complaint == "ajc: this server has no task store: create it with ajc task initialize"
