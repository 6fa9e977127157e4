"""The README's snippets do what it says: its files are written, its worker is run, its programs print what it shows."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys

from tests.integration.processes import ROOT, worker_process

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(kind: str) -> dict[str, str]:
    found = re.findall(rf"<!-- {kind}: (\S+) -->\n```\w+\n(.*?)```", README, re.DOTALL)
    return dict(found)


async def test_a_newcomer_who_copies_the_snippets_sees_what_the_readme_shows(server, tmp_path):
    files, prints, runs = blocks("file"), blocks("prints"), blocks("run")
    assert set(files) == {"myapp/tasks.py", "producer.py", "script.py"}
    assert set(prints) == {"producer.py", "script.py"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    command, *arguments = shlex.split(runs["worker"].removeprefix("$ "))
    assert command == "asyncjobs-worker"
    async with worker_process(*arguments, cwd=tmp_path, NATS_URL=server.url) as worker:
        await worker.wait_log("worker ready")
        for name, expected in prints.items():
            program = await asyncio.create_subprocess_exec(
                sys.executable, name, cwd=tmp_path, env=os.environ | {"NATS_URL": server.url},
                stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            output, _ = await program.communicate()
            assert program.returncode == 0
            assert output.decode() == expected


def test_each_folder_that_the_readme_links_to_is_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
