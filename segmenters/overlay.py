"""Candidates drawn over their picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from segmenters.protocol import Candidate

# Okabe and Ito's colours that stand out on pink and purple, RGB.
COLOURS = (
    (0, 158, 115),
    (230, 159, 0),
    (0, 114, 178),
    (240, 228, 66),
    (86, 180, 233),
    (213, 94, 0),
    (0, 0, 0),
)
FILL = 0.25
LEGEND_LINE_PX = 24
LEAST_WIDTH_PX = 360


def draw(image: np.ndarray, rows: Sequence[tuple[str, Candidate]]) -> Image.Image:
    """Outline every object, tint the masks, and list them below the picture.

    Args:
        image: uint8 (H, W, 3), RGB.
        rows: segmenter and candidate.

    Returns:
        RGB picture, enlarged if it is small, with a legend of one line per candidate.
    """
    factor = max(1, -(-LEAST_WIDTH_PX // image.shape[1]))
    canvas = image.repeat(factor, axis=0).repeat(factor, axis=1).astype(np.float32)
    thickness = max(1, round(canvas.shape[1] / 500))
    # Stuff below objects, so that its tint does not cover them.
    for i, (_, candidate) in sorted(enumerate(rows), key=lambda row: row[1][1].labels is not None):
        if candidate.mask is None:
            continue
        colour = np.array(COLOURS[i % len(COLOURS)], np.float32)
        labels = candidate.labels if candidate.labels is not None else candidate.mask
        large = labels.astype(np.int32).repeat(factor, axis=0).repeat(factor, axis=1)
        inside = large > 0
        canvas[inside] = canvas[inside] * (1 - FILL) + colour * FILL
        canvas[_outline(large, thickness)] = colour
    return _with_legend(canvas.astype(np.uint8), rows)


def _outline(labels: np.ndarray, thickness: int) -> np.ndarray:
    """Pixels of objects, bool (H, W), next to something else, `thickness` px wide."""
    kernel = np.ones((2 * thickness + 1, 2 * thickness + 1), np.uint8)
    values = labels.astype(np.float32)
    return (labels > 0) & (cv2.erode(values, kernel) != cv2.dilate(values, kernel))


def _with_legend(canvas: np.ndarray, rows: Sequence[tuple[str, Candidate]]) -> Image.Image:
    height, width = canvas.shape[:2]
    page = Image.new("RGB", (width, height + LEGEND_LINE_PX * len(rows) + 8), "white")
    page.paste(Image.fromarray(canvas), (0, 0))
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(14)
    for i, (segmenter, candidate) in enumerate(rows):
        top = height + 4 + i * LEGEND_LINE_PX
        pen.rectangle((6, top + 5, 18, top + 17), fill=COLOURS[i % len(COLOURS)])
        pen.text((26, top + 2), describe(segmenter, candidate), fill="black", font=font)
    return page


def describe(segmenter: str, candidate: Candidate) -> str:
    """One line about a candidate: concept, count and share of the picture, or why there is none."""
    if candidate.asked_as is not None:
        segmenter = f"{segmenter}, as {candidate.asked_as}"
    if candidate.mask is None:
        return f"{candidate.concept}: {candidate.reason} ({segmenter})"
    share = f"{candidate.mask.mean():.1%} of the picture"
    count = "" if candidate.labels is None else f"{len(np.unique(candidate.labels)) - 1} objects, "
    return f"{candidate.concept}: {count}{share}, {candidate.confidence:.2f} ({segmenter})"
