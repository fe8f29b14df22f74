"""Draws the part `requests` as an SVG of bars, for light and dark backgrounds, without a library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

from benchmarks.apps import WICKET
from benchmarks.measure import Row

_WIDTH: Final = 760
_LABELS: Final = 168
_VALUES: Final = 96
_BAR: Final = 18
_STEP: Final = 26
_TITLE: Final = 34
_GAP: Final = 22
_TOP: Final = 70
_BOTTOM: Final = 40
_FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"

_COMMAND: Final = "python -m benchmarks --plot docs/requests.svg"
_STYLE: Final = f"""
    text {{ font-family: {_FONT}; font-size: 13px; fill: #24292f; }}
    .head {{ font-size: 17px; font-weight: 600; }}
    .title {{ font-size: 14px; font-weight: 600; }}
    .quiet {{ font-size: 12px; fill: #57606a; }}
    .ground {{ fill: #ffffff; }}
    .axis {{ stroke: #8c959f; stroke-width: 1; }}
    .peer {{ fill: #a3b1c2; }}
    .wicket {{ fill: #1a7f5a; }}
    .strong {{ font-weight: 600; }}
    @media (prefers-color-scheme: dark) {{
      text {{ fill: #e6edf3; }}
      .quiet {{ fill: #9198a1; }}
      .ground {{ fill: #0d1117; }}
      .axis {{ stroke: #656c76; }}
      .peer {{ fill: #57677a; }}
      .wicket {{ fill: #3fb985; }}
    }}
"""


def svg(rows: Sequence[Row]) -> str:
    """Returns the SVG of the rows of the part `requests`: a panel per row, a bar per peer, on one scale."""
    panels = [row for row in rows if row.part == "requests"]
    most = max(value for row in panels for value in row.micros.values())
    lines: list[str] = []
    y = _TOP
    for row in panels:
        lines += _panel(row, y, (_WIDTH - _LABELS - _VALUES) / most)
        y += _TITLE + _STEP * len(row.micros) + _GAP
    height = y - _GAP + _BOTTOM
    head = "Time that verification adds to a request"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}"'
            f' height="{height}" role="img" aria-label="{head}">',
            f"  <title>{head}</title>",
            f"  <style>{_STYLE}  </style>",
            f'  <rect class="ground" width="{_WIDTH}" height="{height}" rx="8"/>',
            _text(24, 34, head, "head"),
            _text(24, 54, "Microseconds of CPU, bare framework subtracted. One token, sent again and again.", "quiet"),
            *lines,
            _text(24, height - 16, f"Shorter is better. Made by: {_COMMAND}", "quiet"),
            "</svg>\n",
        ]
    )


def _panel(row: Row, y: int, scale: float) -> list[str]:
    bars = sorted(row.micros.items(), key=lambda bar: bar[1])
    first = y + _TITLE - 8
    lines = [_text(24, y + 14, row.what.rpartition(": ")[2].replace(",", " ·"), "title")]
    for index, (name, micros) in enumerate(bars):
        top = first + index * _STEP
        ours = name == WICKET
        width = max(1.0, micros * scale)
        middle = top + _BAR // 2 + 5
        strong = "strong" if ours else ""
        lines += [
            _text(_LABELS - 12, middle, name, strong, anchor="end"),
            f'  <rect class="{"wicket" if ours else "peer"}" x="{_LABELS}" y="{top}" width="{width:.1f}"'
            f' height="{_BAR}" rx="2"/>',
            _text(_LABELS + width + 8, middle, f"{micros:.1f} µs", strong),
        ]
    end = first + len(bars) * _STEP - _STEP + _BAR + 4
    lines.append(f'  <line class="axis" x1="{_LABELS}" y1="{first - 4}" x2="{_LABELS}" y2="{end}"/>')
    return lines


def _text(x: float, y: float, text: str, style: str, *, anchor: str = "start") -> str:
    kind = f' class="{style}"' if style else ""
    return f'  <text{kind} x="{x:.1f}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
