"""Small charts: histogram, curves and bars as inline SVG, the funnel as a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from markupsafe import Markup

# Of the page, in light and dark: purple and orange, which everybody tells apart, and a grey for
# what was asked as a control.
KEPT = "var(--kept)"
DROPPED = "var(--dropped)"
CONTROL = "var(--control)"
INK = "currentColor"
GRID = "var(--line)"


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 11, **more: str) -> str:
    style = "".join(f' {k.replace("_", "-")}="{v}"' for k, v in more.items())
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"'
        f"{style}>{escape(text)}</text>"
    )


def _upright(x: float, y: float, text: str) -> str:
    return _text(0, 0, text, "middle", 11, transform=f"translate({x:g} {y:.0f}) rotate(-90)")


def _svg(width: int, height: int, parts: Sequence[str], label: str) -> Markup:
    return Markup(
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}" '
        f'fill="{INK}">{"".join(parts)}</svg>'
    )


def funnel(steps: Sequence[tuple[str, int, str]], label: str) -> Markup:
    """Bars that shrink from step to step, as a list: its text keeps its size on a narrow screen.

    Args:
        steps: name, count, and what was lost before it (may be empty).
        label: what the chart shows, for screen readers.
    """
    top = max((n for _, n, _ in steps), default=0) or 1
    parts = []
    for i, (name, count, lost) in enumerate(steps):
        shade = 1 - 0.45 * i / max(len(steps) - 1, 1)
        gone = f'<span class="lost">{escape(lost)}</span>' if lost else ""
        parts.append(
            f'<li><span class="step">{escape(name)}</span><span class="left">'
            f'<i style="--share:{count / top:.4f};opacity:{shade:.2f}"></i><b>{count:,}</b>{gone}'
            "</span></li>"
        )
    return Markup(f'<ol class="funnel" aria-label="{escape(label)}">{"".join(parts)}</ol>')


def histogram(
    edges: Sequence[float],
    series: Mapping[str, tuple[str, Sequence[int]]],
    x_name: str = "",
    y_name: str = "masks",
) -> Markup:
    """Stacked histogram.

    Args:
        edges: n + 1 ascending values.
        series: name -> colour, n counts; stacked in this order from below.
        x_name: name of the x axis, with its unit.
        y_name: of what the counts are.
    """
    width, height, left, bottom, top = 300, 172, 50, 38, 8
    counts = np.array([c for _, c in series.values()], float).reshape(len(series), -1)
    most = counts.sum(0).max() if counts.size else 0
    most = most or 1.0
    span, rise = width - left - 8, height - bottom - top
    step = span / max(counts.shape[1], 1)
    parts = [
        f'<line x1="{left}" y1="{height - bottom}" x2="{width - 8}" y2="{height - bottom}" '
        f'stroke="{INK}" stroke-width=".8"/>'
    ]
    below = np.zeros(counts.shape[1])
    for (name, (colour, _)), row in zip(series.items(), counts, strict=True):
        for i, n in enumerate(row):
            if n <= 0:
                continue
            high = rise * n / most
            y = height - bottom - rise * (below[i] + n) / most
            parts.append(
                f'<rect x="{left + i * step + 0.5:.1f}" y="{y:.1f}" width="{step - 1:.1f}" '
                f'height="{high:.1f}" fill="{colour}"><title>{escape(name)}: {int(n):,} in '
                f"{edges[i]:.3g} to {edges[i + 1]:.3g}</title></rect>"
            )
        below += row
    for share in (0.0, 0.5, 1.0):
        x = left + span * share
        value = edges[0] + (edges[-1] - edges[0]) * share
        anchor = "end" if share == 1.0 else "middle"
        parts.append(_text(x, height - bottom + 14, f"{value:.3g}", anchor, 10))
    parts.append(_text(left - 4, top + 9, f"{int(most):,}", "end", 10))
    parts.append(_text(left - 4, height - bottom, "0", "end", 10))
    parts.append(_text(left + span / 2, height - 6, x_name, "middle", 11))
    parts.append(_upright(12, top + rise / 2, y_name))
    return _svg(width, height, parts, f"histogram of {x_name}: {', '.join(series)}")


def curves(
    lines: Mapping[str, tuple[str, Sequence[float], Sequence[float]]],
    x_name: str,
    y_name: str,
    diagonal: bool = True,
) -> Markup:
    """Curves in the unit square.

    Args:
        lines: name -> colour, x, y, all within 0..1.
        x_name: name of the x axis.
        y_name: name of the y axis.
        diagonal: draw the line of equality.
    """
    width, height, left, bottom, top = 300, 240, 40, 36, 10
    span, rise = width - left - 10, height - bottom - top
    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = left + span * share, top + rise * (1 - share)
        parts.append(f'<path d="M{left} {y:.1f}h{span}M{x:.1f} {top}v{rise}" stroke="{GRID}"/>')
        parts.append(_text(left - 5, y + 4, f"{share:g}", "end", 10))
        parts.append(_text(x, height - bottom + 14, f"{share:g}", "middle", 10))
    if diagonal:
        parts.append(
            f'<path d="M{left} {top + rise}L{left + span} {top}" stroke="{CONTROL}" '
            'stroke-dasharray="4 4"/>'
        )
    for name, (colour, xs, ys) in lines.items():
        points = " ".join(
            f"{left + span * x:.1f},{top + rise * (1 - y):.1f}" for x, y in zip(xs, ys, strict=True)
        )
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.8">'
            f"<title>{escape(name)}</title></polyline>"
        )
    parts.append(_text(left + span / 2, height - 4, x_name, "middle", 11))
    parts.append(_upright(10, top + rise / 2, y_name))
    return _svg(width, height, parts, f"{y_name} against {x_name}")


def bar(share: float) -> Markup:
    """A bar of a table cell, filled to a share of 0..1."""
    return Markup(
        f'<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="100" height="8" fill="{GRID}"/>'
        f'<rect width="{100 * min(max(share, 0), 1):.1f}" height="8" fill="{KEPT}"/></svg>'
    )
