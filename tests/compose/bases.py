"""The base images of the stack, with substitutes where no image registry can be reached.

Normally the images are pulled. If that fails, substitutes with the same names are built from Debian packages and the
nats-server in .venv: the same Python and the same server, in a file system that differs from that of the real images.
They trust the same certificate authorities as this host. They are cached in a folder, because building takes minutes.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from ajobs.testing.nats_server import find_binary
from tests import ROOT
from tests.compose.docker import Docker, run, say

SUITE = "trixie"
"""The Debian release with the Python version of the image."""
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
PLUGINS = ("docker-compose", "docker-buildx")


class Bases:
    """Provides the base images, and builds substitutes in a folder on demand."""

    def __init__(self, folder: Path | None = None) -> None:
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        self._folder = folder or cache / "ajobs-test-compose"
        self._fresh = False

    def prepare(self, docker: Docker) -> None:
        """Make sure that the engine has the base images of the stack."""
        self._ensure(docker, python_image(), self._python)
        self._ensure(docker, image_of("NATS_IMAGE"), self._nats)

    def prepare_prometheus(self, docker: Docker) -> None:
        """Make sure that the engine has the image of Prometheus."""
        self._ensure(docker, image_of("PROMETHEUS_IMAGE"), self._prometheus)

    def _ensure(self, docker: Docker, image: str, build: Callable[[Docker, str], None]) -> None:
        if docker.can("image", "inspect", image):
            return
        if docker.can("pull", "--quiet", image):
            say(f"pulled {image}")
            return
        say(f"cannot pull {image}: building a substitute")
        build(docker, image)

    def plugins(self) -> Path:
        """Return the folder with the engine's command line plugins from the same Debian release."""
        folder = self._folder / "plugins"
        if not folder.exists():
            tree = self._tree()
            say(f"downloading {' '.join(PLUGINS)}")
            with tempfile.TemporaryDirectory(dir=self._folder) as name:
                for package in PLUGINS:
                    unpack(tree, package, Path(name))
                shutil.copytree(next(Path(name).rglob("cli-plugins")), Path(name) / "plugins")
                (Path(name) / "plugins").rename(folder)
        return folder

    def _tree(self) -> Path:
        """Return a folder with a minimal Debian system."""
        tree = self._folder / SUITE
        if not tree.exists():
            if shutil.which("debootstrap") is None:
                from tests.compose.engine import apt

                apt("update")
                apt("install", "--yes", "--no-install-recommends", "debootstrap")
            say(f"creating a minimal Debian {SUITE} in {self._folder}")
            self._folder.mkdir(parents=True, exist_ok=True)
            unfinished = Path(tempfile.mkdtemp(dir=self._folder))
            include = "python3,python3-venv,python3-pip,ca-certificates"
            run("debootstrap", "--variant=minbase", f"--include={include}", SUITE, str(unfinished))
            (unfinished / "usr/local/bin/python").symlink_to("/usr/bin/python3")
            unfinished.chmod(0o755)
            unfinished.rename(tree)
        if not self._fresh:  # the package lists of an older tree name packages that no longer exist
            shutil.copy("/etc/resolv.conf", tree / "etc/resolv.conf")
            run("chroot", str(tree), "apt-get", "-q", "update")
            self._fresh = True
        if AUTHORITIES.exists():
            shutil.copy(AUTHORITIES, tree / "etc/ssl/certs/ca-certificates.crt")
            (tree / "etc/pip.conf").write_text("[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n")
        return tree

    def _python(self, docker: Docker, image: str) -> None:
        tree = self._tree()
        version = run("chroot", str(tree), "python", "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
        assert f":{version}-" in image, f"{image} has another Python than {SUITE}, which has {version}"
        archive = ["tar", "-C", str(tree), "--exclude=./var/lib/apt/lists/*", "--exclude=./var/cache/apt/*"]
        import_tree(docker, image, [*archive, "--exclude=./proc/*", "--exclude=./sys/*", "-c", "."])

    def _nats(self, docker: Docker, image: str) -> None:
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            tree, busybox = Path(name) / "image", Path(name) / "busybox"
            unpack(self._tree(), "busybox-static", busybox)
            for folder in ("bin", "usr/local/bin", "etc", "tmp"):
                (tree / folder).mkdir(parents=True)
            (tree / "tmp").chmod(0o1777)
            shutil.copy(next(busybox.rglob("bin/busybox")), tree / "bin/busybox")
            for command in ("sh", "wget", "chown"):
                (tree / "bin" / command).symlink_to("busybox")
            shutil.copy(find_binary(), tree / "usr/local/bin/nats-server")
            tree.chmod(0o755)
            import_tree(docker, image, ["tar", "-C", str(tree), "-c", "."], 'ENTRYPOINT ["nats-server"]')

    def _prometheus(self, docker: Docker, image: str) -> None:
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            folder = Path(name)
            for package in ("prometheus", "promtool", "busybox-static"):
                unpack(self._tree(), package, folder / "unpacked")
            for program in ("bin/prometheus", "bin/promtool", "bin/busybox"):
                shutil.copy(next((folder / "unpacked").rglob(program)), folder)
            (folder / "Dockerfile").write_text(
                f"FROM {python_image()}\n"
                "COPY prometheus promtool busybox /usr/local/bin/\n"
                "RUN ln -s busybox /usr/local/bin/wget && install -d -o 65534 -g 65534 /prometheus\n"
                'ENTRYPOINT ["prometheus"]\n'
            )
            docker("build", "--quiet", "--tag", image, name)


def unpack(tree: Path, package: str, folder: Path) -> None:
    """Unpack a package of the minimal Debian into a folder without installing it."""
    with tempfile.TemporaryDirectory(dir=tree / "tmp") as name:
        Path(name).chmod(0o777)
        run("chroot", str(tree), "sh", "-c", f"cd /tmp/{Path(name).name} && apt-get -q download {package}")
        (archive,) = Path(name).glob("*.deb")
        run("dpkg-deb", "-x", str(archive), str(folder))


def import_tree(docker: Docker, image: str, archive: list[str], *changes: str) -> None:
    path = "ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        run(*archive, "-f", file.name)
        options = [part for change in (path, *changes) for part in ("--change", change)]
        docker("import", *options, file.name, image)


def python_image() -> str:
    match = re.search(r"^ARG PYTHON=(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert match is not None
    return f"python:{match[1]}-slim"


def image_of(variable: str) -> str:
    """Return the default image that compose.yaml has for a variable."""
    match = re.search(rf"\$\{{{variable}:-([^}}]+)\}}", (ROOT / "compose.yaml").read_text())
    assert match is not None
    return match[1]
