"""The thumbnails example with a real worker process and real images."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from PIL import Image

from ajobs.client import Client, TaskState
from ajobs.testing.processes import worker_process
from examples.thumbnails.files import path_of, write_atomically
from examples.thumbnails.images import BadImageError, shrink
from examples.thumbnails.page import Thumbnail, page_of
from examples.thumbnails.tasks import ThumbnailJob
from tests import ROOT

S = TaskState


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """The shared folder, also used by the processes that a test starts."""
    folder = tmp_path / "shared"
    folder.mkdir()
    monkeypatch.setenv("THUMBNAILS_FOLDER", str(folder))
    return folder


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGB", (2000, 1000), "navy").save(folder / "wide & <low>.jpg")
    Image.new("RGBA", (300, 600), (200, 0, 0, 90)).save(folder / "high.png")
    return folder


@asynccontextmanager
async def running_worker(url: str, *options: str):
    arguments = ("examples.thumbnails.tasks:router", "--queue", "IMAGES", "--server", url, *options)
    async with worker_process(*arguments) as worker:
        await worker.wait_log("worker ready")
        yield worker


async def make_album(url: str, album: str, *paths: Path) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "examples.thumbnails", album, *map(str, paths), cwd=ROOT,
        env=os.environ | {"NATS_URL": url}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        assert image.format == "WEBP"
        return image.size


def leftovers(folder: Path) -> list[Path]:
    return list(folder.rglob("*.part"))


async def test_an_album_has_every_picture_in_every_size_and_a_page_that_shows_them(server, shared, pictures):
    async with running_worker(server.url):
        code, output, errors = await make_album(server.url, "Trip", pictures)
    assert (code, errors) == (0, "")
    page = Path(output.strip())
    assert page == shared / "albums" / "Trip" / "index.html"
    text = page.read_text()  # noqa: ASYNC240 - a small file
    assert "<h1>Trip</h1>" in text
    assert "2 pictures" in text
    assert "wide &amp; &lt;low&gt;" in text
    (high, wide) = re.findall(r'srcset="([^"]*)"', text)
    assert sorted(size_of(page.parent / part.split()[0]) for part in wide.split(", ")) == [
        (320, 160),
        (640, 320),
        (1280, 640),
    ]
    # The other picture is smaller than two of the sizes, and is never enlarged.
    assert sorted(size_of(page.parent / part.split()[0]) for part in high.split(", ")) == [(160, 320), (300, 600)]
    assert leftovers(shared) == []


async def test_a_bad_image_terminates_its_tasks_at_once_and_the_missing_page_is_explained(server, shared, pictures):
    (pictures / "broken.jpg").write_bytes((pictures / "wide & <low>.jpg").read_bytes()[:500])
    (pictures / "words.jpg").write_text("no image")
    async with running_worker(server.url):
        code, output, errors = await make_album(server.url, "Trip", pictures)
    assert (code, output) == (1, "")
    assert "unreachable" in errors
    assert errors.count("terminated: broken: unreadable image") == 3
    assert errors.count("terminated: words: unknown image format") == 3
    assert not (shared / "albums" / "Trip" / "index.html").exists()


async def test_a_missing_file_and_a_file_outside_the_shared_folder_are_reported(server, shared):
    (shared / "uploads").mkdir()
    Image.new("RGB", (4, 4), "red").save(shared / "uploads" / "red.png")
    refused = [
        ("uploads/gone.jpg", "Trip", "file uploads/gone.jpg not found in the shared folder"),
        ("../secret.jpg", "Trip", "../secret.jpg is not in the shared folder"),
        ("uploads/red.png", "../../elsewhere", "is not in the shared folder"),
    ]
    async with running_worker(server.url), Client.connect(server.url, queue="IMAGES") as client:
        for upload, album, error in refused:
            job = ThumbnailJob(upload, album, caption="", size=320)
            task = await client.wait((await client.enqueue("image:thumbnail", job)).id, timeout=60)
            assert (task.state, task.tries) == (S.TERMINATED, 1)
            assert error in task.last_err


async def test_several_tasks_that_write_the_same_thumbnail_concurrently_leave_one_whole_file(server, shared):
    (shared / "uploads").mkdir()
    Image.effect_noise((640, 640), 60).save(shared / "uploads" / "noise.png")
    job = ThumbnailJob("uploads/noise.png", "Trip", caption="", size=640)
    async with running_worker(server.url), Client.connect(server.url, queue="IMAGES") as client:
        tasks = [await client.enqueue("image:thumbnail", job) for _ in range(6)]
        thumbnails = [await client.result(task.id, Thumbnail, timeout=60) for task in tasks]
    assert all(each == thumbnails[0] for each in thumbnails)
    (path,) = (shared / "albums" / "Trip").iterdir()
    assert path.name == thumbnails[0].file
    assert size_of(path) == (640, 640)


def test_a_picture_taken_with_a_rotated_camera_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    Image.new("RGB", (400, 200), "red").save(tmp_path / "side.jpg", exif=exif)
    image = shrink((tmp_path / "side.jpg").read_bytes(), 100)
    assert (image.width, image.height) == (50, 100)


def test_an_image_that_would_exhaust_the_memory_is_refused(monkeypatch, tmp_path):
    Image.new("1", (200, 200)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    with pytest.raises(BadImageError, match="exceeds limit"):
        shrink((tmp_path / "large.png").read_bytes(), 100)


def test_a_failed_write_keeps_the_old_file_and_leaves_no_other(shared, monkeypatch):
    path = path_of("albums/a/x.webp")
    write_atomically(path, b"before")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(path.parent.iterdir()) == [path]


def test_a_page_escapes_names_and_counts_pictures():
    page = page_of('"><script>', [Thumbnail("a&b", "uploads/a", "a b.webp", 320, 200)])
    assert "<script>" not in page
    assert "1 picture<" in page
    assert 'src="a%20b.webp"' in page
