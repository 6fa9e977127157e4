"""Generate the state diagram and the table of changes in docs/lifecycle.md from the state machine.

``python -m scripts.state_diagram`` writes them between the page's two markers.
"""

from __future__ import annotations

from pathlib import Path

from ajobs.protocol.states import CHANGES, TaskState

PAGE = Path(__file__).parent.parent / "docs" / "lifecycle.md"
BEGIN, END = "<!-- states: begin -->\n", "<!-- states: end -->\n"


def wanted(page: str) -> str:
    """Return the text of the page with the current diagram and table."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{_diagram()}\n{_table()}{END}{after}"


def _diagram() -> str:
    lines = [
        "```mermaid",
        "stateDiagram-v2",
        f"    [*] --> {TaskState.NEW}: enqueued",
        f"    [*] --> {TaskState.BLOCKED}: enqueued, with dependencies",
    ]
    lines += [f"    {source} --> {change.target}: {change.cause}" for change in CHANGES for source in change.drawn]
    return "\n".join([*lines, "```", ""])


def _table() -> str:
    lines = ["| from | to | because |", "|---|---|---|"]
    for change in CHANGES:
        sources = [state for state in TaskState if state in change.sources and state is not TaskState.UNKNOWN]
        text = "any state" if len(sources) == len(TaskState) - 1 else ", ".join(f"`{state}`" for state in sources)
        lines.append(f"| {text} | `{change.target}` | {change.cause} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    PAGE.write_text(wanted(PAGE.read_text()))
