"""The page of an album: a single file without scripts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from html import escape
from urllib.parse import quote

import msgspec

STYLE = """
:root { color-scheme: light dark; --ink: light-dark(#1c2024, #eceef0); --faint: light-dark(#60646c, #a0a6ad);
  --paper: light-dark(#fbfbfa, #16181b); }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1240px; padding: 4rem 1.5rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: clamp(1.8rem, 5vw, 2.8rem); line-height: 1.15; letter-spacing: -0.02em; }
header p { margin: .4rem 0 2.5rem; color: var(--faint); }
main { display: flex; flex-wrap: wrap; gap: 1.5rem 1rem; }
/* Rows of one height: each picture takes room in proportion to its width, and the last row is not stretched. */
figure { margin: 0; flex: var(--ratio) 1 calc(var(--ratio) * 15rem); max-width: calc(var(--ratio) * 22rem); }
main::after { content: ""; flex: 1000 1 0; }
img { display: block; width: 100%; height: auto; border-radius: 10px; background: light-dark(#e8e9eb, #26292d); }
a { display: block; border-radius: 10px; transition: filter .15s; }
a:hover { filter: brightness(1.08); }
a:focus-visible { outline: 3px solid #3b82f6; outline-offset: 3px; }
figcaption { margin-top: .5rem; font-size: .875rem; overflow-wrap: anywhere; }
""".strip()


class Thumbnail(msgspec.Struct):
    """A finished thumbnail: a file in the folder of its album."""

    caption: str
    upload: str
    file: str
    width: int
    height: int


def page_of(title: str, thumbnails: Iterable[Thumbnail]) -> str:
    """Return a page with one picture per upload. The browser loads the size that fits the screen."""
    # Keyed by width, because a picture smaller than several sizes has the same width in all of them.
    pictures: dict[str, dict[int, Thumbnail]] = defaultdict(dict)
    for each in sorted(thumbnails, key=lambda each: (each.caption, each.upload, each.width)):
        pictures[each.upload][each.width] = each
    count = f"{len(pictures)} picture{'' if len(pictures) == 1 else 's'}"
    figures = "\n".join(_figure(list(sizes.values())) for sizes in pictures.values())
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>
{STYLE}
</style>
<header>
<h1>{escape(title)}</h1>
<p>{count}</p>
</header>
<main>
{figures}
</main>
</html>
"""


def _figure(sizes: list[Thumbnail]) -> str:
    small, large = sizes[0], sizes[-1]
    ratio = large.width / large.height
    choice = ", ".join(f"{quote(each.file)} {each.width}w" for each in sizes)
    caption = escape(large.caption)
    return (
        f'<figure style="--ratio: {ratio:.3f}"><a href="{quote(large.file)}"><img src="{quote(small.file)}" '
        f'srcset="{choice}" sizes="{round(ratio * 20)}rem" width="{large.width}" height="{large.height}" '
        f'loading="lazy" alt="{caption}"></a><figcaption>{caption}</figcaption></figure>'
    )
