"""Making an image smaller."""

from __future__ import annotations

from io import BytesIO

import msgspec
from PIL import Image, ImageOps, UnidentifiedImageError


class BadImageError(Exception):
    """These bytes are no image that can be read."""


class Shrunk(msgspec.Struct):
    """A WebP image."""

    data: bytes
    width: int
    height: int


def shrink(data: bytes, size: int) -> Shrunk:
    """Return an image whose longer side has at most ``size`` pixels, upright, in its own colours.

    Raises:
        BadImageError: It is no image, is cut off, or is so large that it might be meant to exhaust the memory.
    """
    try:
        with Image.open(BytesIO(data)) as opened:
            image: Image.Image = opened
            if image.mode not in {"RGB", "RGBA", "L"}:
                image = image.convert("RGBA" if image.has_transparency_data else "RGB")
            image.thumbnail((size, size), Image.Resampling.LANCZOS)
            image = ImageOps.exif_transpose(image)
            shrunk = BytesIO()
            # What else a camera knows, such as where it was, is left out.
            image.save(shrunk, "WEBP", quality=82, icc_profile=image.info.get("icc_profile"))
    except UnidentifiedImageError:
        raise BadImageError("not an image of a known format") from None
    # The bytes are in memory already, so an OSError is about what they say.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
        raise BadImageError(f"not an image that can be read: {e}") from e
    return Shrunk(shrunk.getvalue(), image.width, image.height)
