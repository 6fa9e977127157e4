"""Paint sample pictures: ``python -m examples.thumbnails.paint FOLDER``."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

SIZES = [(2400, 1600), (1600, 2400), (2400, 1350), (2000, 2000), (2400, 1600), (3000, 1300), (1800, 2400), (2400, 1600)]
SKIES = [("#20304f", "#f2a65a"), ("#3a7bd5", "#e8f1f8"), ("#51355a", "#f4a7b9"), ("#0f2027", "#5b8a8f")]


def paint(seed: int) -> Image.Image:
    """Return a landscape of hills. The same seed gives the same picture."""
    chance = random.Random(seed)
    width, height = SIZES[seed % len(SIZES)]
    top, bottom = SKIES[seed % len(SKIES)]
    sky = Image.linear_gradient("L").resize((width, height))  # pyright: ignore[reportUnknownMemberType] - partly typed
    image = Image.composite(Image.new("RGB", sky.size, bottom), Image.new("RGB", sky.size, top), sky)
    draw = ImageDraw.Draw(image)
    x, y, r = chance.uniform(0.2, 0.8) * width, chance.uniform(0.15, 0.4) * height, height // 14
    draw.ellipse((x - r, y - r, x + r, y + r), fill="#fff3d6")
    for layer in range(5):
        level = height * (0.5 + 0.11 * layer)
        heights = [level + chance.uniform(-0.12, 0.12) * height / (1 + layer / 3) for _ in range(9)]
        points = [(index * width / 8, each) for index, each in enumerate(heights)]
        shade = 110 - 21 * layer
        draw.polygon([(0, height), *points, (width, height)], fill=(shade // 2, shade, int(shade * 1.05)))
    return image.filter(ImageFilter.GaussianBlur(3))


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "pictures")
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(["Dawn", "Noon", "Dusk", "Mist", "Ridge", "Valley", "Summit", "Shore"]):
        paint(number).save(folder / f"{name}.jpg", quality=90)
    print(f"painted 8 pictures into {folder}")
