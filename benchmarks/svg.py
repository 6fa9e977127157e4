"""Charts as SVG without a library: bars and lines that are readable on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

WIDTH = 860
LEFT, RIGHT, TOP = 190, 90, 56
ROW, GAP = 17, 12

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-weight: 600; font-size: 15px; }
  .small { font-size: 11px; fill: #59636e; }
  .axis { stroke: #8c959f; stroke-width: 1; }
  .grid { stroke: #d1d9e0; stroke-width: 1; }
  .ours { fill: #0969da; } .theirs { fill: #9aa4af; }
  .line { fill: none; stroke-width: 2; }
  .c0 { stroke: #0969da; } .c1 { stroke: #1a7f37; } .c2 { stroke: #bc4c00; } .c3 { stroke: #8250df; }
  .f0 { fill: #0969da; } .f1 { fill: #1a7f37; } .f2 { fill: #bc4c00; } .f3 { fill: #8250df; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .small { fill: #9198a1; } .axis { stroke: #6e7681; } .grid { stroke: #30363d; }
    .ours { fill: #4493f8; } .theirs { fill: #6e7681; }
    .c0 { stroke: #4493f8; } .c1 { stroke: #3fb950; } .c2 { stroke: #f0883e; } .c3 { stroke: #ab7df8; }
    .f0 { fill: #4493f8; } .f1 { fill: #3fb950; } .f2 { fill: #f0883e; } .f3 { fill: #ab7df8; }
  }
"""


class Bar(NamedTuple):
    """One bar: a median, with the lowest and the highest value."""

    label: str
    value: float
    low: float
    high: float


class Group(NamedTuple):
    """Bars under one heading with their own scale."""

    title: str
    bars: Sequence[Bar]


class Line(NamedTuple):
    """Points (x, y)."""

    label: str
    points: Sequence[tuple[float, float]]


def bars(title: str, groups: Sequence[Group], ours: str) -> str:
    """Draw groups of horizontal bars with whiskers. Bars labelled ``ours`` are colored."""
    parts: list[str] = []
    y = TOP
    for group in groups:
        if not group.bars:
            continue
        parts.append(_text(16, y, group.title, "small"))
        y += 10
        scale = (WIDTH - LEFT - RIGHT) / max(bar.high for bar in group.bars)
        for bar in group.bars:
            middle = y + ROW / 2 - 2
            kind = "ours" if bar.label == ours else "theirs"
            parts += [
                _text(LEFT - 8, middle + 4, bar.label, anchor="end"),
                f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{bar.value * scale:.1f}" height="{ROW - 4}" rx="2"/>',
                _rule("axis", LEFT + bar.low * scale, LEFT + bar.high * scale, middle),
                _text(LEFT + bar.high * scale + 6, middle + 4, f"{bar.value:,.0f}", "small"),
            ]
            y += ROW
        y += GAP + 12
    return _document(title, parts, y)


def lines(title: str, drawn: Sequence[Line], *, x_title: str, y_title: str) -> str:
    """Draw lines over a logarithmic horizontal axis and a vertical axis that starts at 0."""
    height, bottom = 330, 270
    xs = [math.log10(x) for line in drawn for x, _ in line.points]
    top = max((y for line in drawn for _, y in line.points), default=1) * 1.1 or 1
    least, most = min(xs), max(xs)
    span = (most - least) or 1

    def place(x: float, y: float) -> tuple[float, float]:
        left = LEFT - 100
        return (
            left + (math.log10(x) - least) / span * (WIDTH - left - 160),
            bottom - y / top * (bottom - TOP),
        )

    parts: list[str] = []
    for step in range(5):
        value = top * step / 4
        _, y = place(10**least, value)
        parts += [
            _rule("grid", LEFT - 100, WIDTH - 160, y),
            _text(LEFT - 108, y + 4, f"{value:,.0f}", "small", anchor="end"),
        ]
    for x in sorted({x for line in drawn for x, _ in line.points}):
        parts.append(_text(place(x, 0)[0], bottom + 18, f"{x:,.0f}", "small", anchor="middle"))
    for number, line in enumerate(drawn):
        points = [place(x, y) for x, y in line.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline class="line c{number % 4}" points="{path}"/>')
        parts += [f'<circle class="f{number % 4}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in points]
        parts.append(f'<rect class="f{number % 4}" x="{WIDTH - 148}" y="{TOP + 22 * number}" width="12" height="12"/>')
        parts.append(_text(WIDTH - 130, TOP + 11 + 22 * number, line.label))
    parts.append(_text(LEFT - 100, TOP - 14, y_title, "small"))
    parts.append(_text(WIDTH - 160, bottom + 38, x_title, "small", anchor="end"))
    return _document(title, parts, height)


def _rule(kind: str, x1: float, x2: float, y: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _document(title: str, parts: Sequence[str], height: float) -> str:
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'aria-label="{escape(title)}">\n<style>{STYLE}</style>\n{_text(16, 26, title, "title")}\n{body}\n</svg>\n'
    )
