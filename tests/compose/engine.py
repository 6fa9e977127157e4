"""A Docker engine with Compose: the running one, or else one that is started for the tests.

Starting one needs root on a Debian host. The engine is installed from Debian packages, keeps all its data in a
temporary folder, and is stopped by its process id.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.compose.bases import Bases
from tests.compose.docker import Docker, fail, run, say

PACKAGES = ("docker.io", "iptables")
DRIVERS = ("overlay2", "vfs")
START_S = 60.0
STOP_S = 60.0


@contextmanager
def engine(bases: Bases) -> Generator[Docker]:
    """Yield the command for a running engine; exit with an error if none can be started."""
    docker = Docker({})
    if docker.can("version") and docker.can("compose", "version"):
        say(f"using the running engine, {docker('compose', 'version')}")
        yield docker
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        fail("no Docker engine with Compose is running: start one, or run this as root on Debian to install one")
    install()
    with tempfile.TemporaryDirectory(prefix="ajobs-engine-") as name:
        folder = Path(name)
        plugins = bases.plugins()
        (folder / "client").mkdir()
        (folder / "client/config.json").write_text(json.dumps({"cliPluginsExtraDirs": [str(plugins)]}))
        docker = Docker({"DOCKER_HOST": f"unix://{folder}/docker.sock", "DOCKER_CONFIG": f"{folder}/client"})
        bridge_existed = Path("/sys/class/net/docker0").exists()
        process = start(folder, docker)
        try:
            say(f"started an engine, {docker('compose', 'version')}")
            yield docker
        finally:
            stop(process)
            unmount(folder)
            if not bridge_existed:
                subprocess.run(["ip", "link", "delete", "docker0"], check=False, capture_output=True)


def install() -> None:
    if shutil.which("dockerd") and shutil.which("docker") and shutil.which("iptables"):
        return
    say(f"installing {' '.join(PACKAGES)}")
    apt("update")
    apt("install", "--yes", "--no-install-recommends", *PACKAGES)


def apt(*arguments: str) -> None:
    run("apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", *arguments, DEBIAN_FRONTEND="noninteractive")


def start(folder: Path, docker: Docker) -> subprocess.Popen[bytes]:
    """Start the engine with the first storage driver that works on this machine."""
    for driver in DRIVERS:
        command = ["dockerd", "--host", docker.environment["DOCKER_HOST"], "--storage-driver", driver]
        command += ["--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid"]
        log = folder / f"{driver}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, process_group=0)
        give_up = time.monotonic() + START_S
        while process.poll() is None and time.monotonic() < give_up:
            if docker.can("version"):
                return process
            time.sleep(0.5)
        stop(process)
        unmount(folder)
        say(f"no engine with {driver}: {' / '.join(log.read_text(errors='replace').splitlines()[-3:])}")
    fail("cannot start a Docker engine on this machine: the stack was NOT tested")
    raise AssertionError


def stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def unmount(folder: Path) -> None:
    """Unmount what the engine left mounted in a folder, so that the folder can be removed."""
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for path in sorted((each for each in mounted if Path(each).is_relative_to(folder)), reverse=True):
        subprocess.run(["umount", path], check=False, capture_output=True)
