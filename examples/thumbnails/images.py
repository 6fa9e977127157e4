"""Scaling images down."""

from __future__ import annotations

from io import BytesIO

import msgspec
from PIL import Image, ImageOps, UnidentifiedImageError


class BadImageError(Exception):
    """The data is not a readable image."""


class Shrunk(msgspec.Struct):
    """A WebP image."""

    data: bytes
    width: int
    height: int


def shrink(data: bytes, size: int) -> Shrunk:
    """Scale an image so that its longer side has at most ``size`` pixels. Keeps its orientation and color profile.

    Raises:
        BadImageError: The data is not an image, is truncated, or is so large that it could exhaust the memory.
    """
    try:
        with Image.open(BytesIO(data)) as opened:
            image: Image.Image = opened
            if image.mode not in {"RGB", "RGBA", "L"}:
                image = image.convert("RGBA" if image.has_transparency_data else "RGB")
            image.thumbnail((size, size), Image.Resampling.LANCZOS)
            image = ImageOps.exif_transpose(image)
            shrunk = BytesIO()
            # Other metadata of the camera, such as its location, is left out.
            image.save(shrunk, "WEBP", quality=82, icc_profile=image.info.get("icc_profile"))
    except UnidentifiedImageError:
        raise BadImageError("unknown image format") from None
    # The data is already in memory, so an OSError is about its content and not about I/O.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
        raise BadImageError(f"unreadable image: {e}") from e
    return Shrunk(shrunk.getvalue(), image.width, image.height)
