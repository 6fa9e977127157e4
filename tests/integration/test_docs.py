"""Programs in the README and in docs/ print the output that the pages show.

A directive above a block selects its use. ``<!-- file: NAME -->``: write the block to a file.
``<!-- prints: NAME -->``: the block is the exact output of that program. It can name a worker, ``with ARGUMENTS``, and
another program, ``and NAME``, that run at the same time.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from ajobs.testing.processes import worker_process
from tests import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"<!-- (file|prints|run): (.+?) -->\n```\w+\n(.*?)```", re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str, str]]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def programs() -> list:
    parameters = []
    for page in PAGES:
        runs = [text.removeprefix("$ ajobs-worker ").strip() for kind, _, text in blocks(page) if kind == "run"]
        for kind, title, text in blocks(page):
            if kind != "prints":
                continue
            program, _, more = title.partition(" with ")
            worker, _, other = more.partition(" and ")
            case = f"{page.name}-{program}"
            parameters.append(pytest.param(page, program, worker or "".join(runs), other, text, id=case))
    return parameters


@asynccontextmanager
async def program(name: str, folder: Path, url: str):
    process = await asyncio.create_subprocess_exec(
        sys.executable, name, cwd=folder, env=os.environ | {"NATS_URL": url}, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@pytest.mark.parametrize(("page", "name", "worker", "other", "expected"), programs())
async def test_a_program_prints_what_the_page_shows(server, tmp_path, page, name, worker, other, expected):  # noqa: PLR0917
    for kind, title, text in blocks(page):
        if kind == "file":
            (tmp_path / title).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / title).write_text(text)
            if title.endswith(".sh"):
                (tmp_path / title).chmod(0o755)
    async with AsyncExitStack() as stack:
        if other:
            await stack.enter_async_context(program(other, tmp_path, server.url))
        if worker:
            arguments = shlex.split(worker)
            if "--queue" not in arguments and "--config" not in arguments:
                arguments += ["--queue", "DOCS"]
            more = {"AJ_RETRY_POLICY": "1m", "NATS_URL": server.url}
            running = await stack.enter_async_context(worker_process(*arguments, cwd=tmp_path, **more))
            await running.wait_log("worker ready")
        run = await stack.enter_async_context(program(name, tmp_path, server.url))
        output, _ = await run.communicate()
        assert run.returncode == 0
        assert output.decode() == expected


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_link_leads_to_an_existing_file(page):
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8")):
        linked = page.parent / target if target else page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked), f"{target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_each_page_is_in_the_list_of_pages():
    listed = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for page in PAGES[1:]:
        assert page.name == "README.md" or f"({page.name})" in listed
