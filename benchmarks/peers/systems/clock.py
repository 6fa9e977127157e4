"""The handler of every system: it counts tasks, and records how long each took from enqueuing to start.

A thread writes a snapshot of the progress 20 times per second, and the latencies once the benchmark asks for them.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

RESULT = os.environ.get("BENCH_RESULT", "")
SLEEP_S = float(os.environ.get("BENCH_SLEEP_S", "0"))

_lock = threading.Lock()
_count = 0
_first = _last = _cpu = 0.0
_latencies: list[float] = []


def tick(payload: object) -> object:
    """Record a handled task and return its result."""
    global _count, _first, _last, _cpu  # noqa: PLW0603 - one clock for a process
    now = time.time()
    with _lock:
        _count += 1
        _last = now
        if _count == 1:
            _first, _cpu = now, time.process_time()
            if RESULT:
                threading.Thread(target=_write_snapshots, daemon=True).start()
        if isinstance(payload, float):
            _latencies.append(now - payload)
    # The result of a latency task is the time of its start; other results are small.
    return now if isinstance(payload, float) else payload if isinstance(payload, int) else 1


def _write_snapshots() -> None:
    while True:
        _write(f"{RESULT}.{os.getpid()}.json", snapshot())
        if Path(f"{RESULT}.wanted").exists():
            _write(f"{RESULT}.{os.getpid()}.latencies", _latencies)
        time.sleep(0.05)


def snapshot() -> dict[str, float]:
    return {
        "count": _count,
        "first": _first,
        "last": _last,
        "cpu_s": time.process_time() - _cpu,
        "peak_mib": _peak_mib(),
    }


def _peak_mib() -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def _write(path: str, value: object) -> None:
    partial = Path(f"{path}.part")
    partial.write_text(json.dumps(value), encoding="ascii")
    partial.rename(path)
