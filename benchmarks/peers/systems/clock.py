"""What a handler does in every system: count, sleep when asked to, and note how long the task took to get here.

A thread writes a snapshot twenty times a second for whoever measures; the latencies are written once it asks for them.
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
    """Note that a task was handled, and return what its result is to be."""
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
    # One that was sent with its time gets the time of its start; others get something small.
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


def _write(path: str, what: object) -> None:
    partial = Path(f"{path}.part")
    partial.write_text(json.dumps(what), encoding="ascii")
    partial.rename(path)
