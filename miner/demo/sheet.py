"""A sheet of sample phantoms: `python -m miner.demo.sheet FILE.png`."""

from __future__ import annotations

import sys

import cv2
import numpy as np

from miner.demo import render
from miner.demo.organs import ORGANS

SIDE_PX = 112  # of a cell
COLUMNS = ((0.25, "H&E"), (0.4, "H&E"), (0.6, "H&E"), (0.9, "H&E"))
OTHER_STAINS = (("kidney", "PAS"), ("breast", "IHC"), ("lymph node", "IHC"),
                ("colon", "trichrome"))  # fmt: skip
OUTLINES = {"nuclei": (90, 230, 20), "gland": (255, 210, 0), "glomerulus": (0, 170, 255)}
RENDERED_PX = 280
COLOURS = 124  # a palette keeps the file small


def sheet(seed: int = 3) -> np.ndarray:
    """Rows: organs at several scales, then other stains, then outlines of the truth; RGB uint8."""
    rows = []
    for i, organ in enumerate(ORGANS):
        rows.append(
            [
                render.tile(seed + 10 * i + j, RENDERED_PX, mpp, organ, stain, flaws=0.05).image
                for j, (mpp, stain) in enumerate(COLUMNS)
            ]
        )
    rows.append(
        [
            render.tile(seed + j, RENDERED_PX, 0.5, organ, stain).image
            for j, (organ, stain) in enumerate(OTHER_STAINS)
        ]
    )
    shown = ("colon", "kidney", "breast", "lymph node")
    rows.append([outlined(render.tile(seed + j, RENDERED_PX, 0.5, o)) for j, o in enumerate(shown)])
    gap = 3
    small = (SIDE_PX, SIDE_PX)
    rows = [[cv2.resize(t, small, None, 0, 0, cv2.INTER_AREA) for t in row] for row in rows]
    lines = [np.hstack([np.pad(t, ((0, gap), (0, gap), (0, 0)), constant_values=255) for t in row])
             for row in rows]  # fmt: skip
    # Two organs side by side.
    if len(lines) % 2:
        lines.append(np.full_like(lines[0], 255))
    half = len(lines) // 2
    return np.hstack([np.vstack(lines[:half]), np.vstack(lines[half:])])


def outlined(tile: render.PhantomTile) -> np.ndarray:
    """A tile with outlines of some of its labels, RGB uint8."""
    image = tile.image.copy()
    for entity, colour in OUTLINES.items():
        if entity not in tile.labels:
            continue
        labels = tile.labels[entity]
        edge = (cv2.erode(labels.astype(np.float32), np.ones((3, 3))) != labels) & (labels > 0)
        image[edge] = colour
    return image


def write_sheet(path: str) -> None:
    """Write the sheet as a palette PNG."""
    from PIL import Image

    picture = Image.fromarray(sheet())
    picture.quantize(COLOURS, kmeans=4, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    write_sheet(sys.argv[1])
