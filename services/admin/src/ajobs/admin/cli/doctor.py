"""``ajc doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ajobs.admin.cli import session
from ajobs.admin.cli.arguments import Duration, Json
from ajobs.admin.text.printing import console, is_terminal, printable, say, show_json
from ajobs.protocol.durations import MINUTE_NS
from ajobs.protocol.errors import UnavailableError

if TYPE_CHECKING:
    from ajobs.admin.doctor.findings import Finding

MARGIN = 10
"""Width of the marks in front of findings."""
_MARKS = {"ok": ("ok", "green"), "warning": ("warning", "yellow"), "problem": ("PROBLEM", "bold red")}


async def doctor(*, json: Json = False, grace: Duration = 10 * MINUTE_NS) -> int:
    """Check for known problems and print remedies.

    Nothing is changed. The exit status is 1 if there is a problem; warnings do not count. With --verify or --sign, the
    signatures of unfinished tasks are checked too.

    Parameters
    ----------
    grace
        Ignore tasks that changed within this time.
    """
    from ajobs.admin.doctor.examination import examine, unreachable  # slow to import, and not needed for a help page

    try:
        async with session.connect() as client:
            findings = await examine(client, grace_ns=grace, seed_files=_seed_files())
    except UnavailableError as e:
        findings = [unreachable(e)]
    problems = sum(finding.level == "problem" for finding in findings)
    warnings = sum(finding.level == "warning" for finding in findings)
    if json:
        show_json({"ok": not problems, "problems": problems, "warnings": warnings, "findings": findings})
    else:
        _show(findings)
        say(f"\n{_count(problems, 'problem')}, {_count(warnings, 'warning')}")
    return 1 if problems else 0


def _seed_files() -> list[str]:
    sign = session.options().sign
    try:
        return [sign] if sign and Path(sign).is_file() else []
    except OSError:  # a key may be too long for a name
        return []


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _show(findings: list[Finding]) -> None:
    group = ""
    for finding in findings:
        if finding.group != group:
            _line(finding.group, "bold", before="\n" if group else "")
            group = finding.group
        mark, style = _MARKS[finding.level]
        _hanging((f"  {mark:<8}", style), [(f"{finding.check}: ", "bold"), (printable(finding.text), "")])
        if finding.remedy:
            _hanging((" " * MARGIN, style), [("→ ", style), (printable(finding.remedy), "")])


def _line(text: str, style: str, *, before: str = "") -> None:
    if not is_terminal():
        say(before + text)
        return
    from rich.text import Text

    console().print(Text.assemble(before, (text, style)))


def _hanging(mark: tuple[str, str], parts: list[tuple[str, str]]) -> None:
    """Print a mark and a text. On a terminal, lines after the first start below the text."""
    if not is_terminal():
        say(mark[0] + "".join(text for text, _ in parts))
        return
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid()
    grid.add_column(width=MARGIN, no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(mark[0], style=mark[1]), Text.assemble(*parts))
    console().print(grid)
