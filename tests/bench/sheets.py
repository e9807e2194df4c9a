"""Contact sheets of the best, the median and the worst tiles."""

from __future__ import annotations

import pathlib

import cv2
import numpy as np

from tests.bench import overlap

CELL_PX = 320
FOUND, TRUE = (255, 220, 0), (0, 160, 255)


def outline(image: np.ndarray, labels: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Picture with the outlines of objects drawn into it, uint8 (H, W, 3)."""
    values = labels.astype(np.float32)
    edge = (cv2.erode(values, np.ones((3, 3), np.uint8)) != values) & (labels > 0)
    drawn = image.copy()
    drawn[edge] = colour
    return drawn


def _cell(image: np.ndarray, text: str) -> np.ndarray:
    factor = CELL_PX / max(image.shape[:2])
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    cell = np.full((CELL_PX + 18, CELL_PX, 3), 255, np.uint8)
    cell[18 : 18 + size[1], : size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    cv2.putText(cell, text, (2, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 1, cv2.LINE_AA)
    return cell


def write(answers: list[tuple], folder: pathlib.Path) -> None:
    """One sheet per entity: two best, two median and two worst tiles; found yellow, true blue.

    Args:
        answers: (tile, entity, concept, truth, candidate) of the embedded segmenter.
        folder: where the sheets go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for entity in sorted({a[1] for a in answers}):
        rows = []
        for tile, name, _, truth, found in answers:
            if name != entity:
                continue
            labels = found.labels
            if labels is None:
                mask = np.zeros(truth.shape, bool) if found.mask is None else found.mask
                labels = mask.astype(np.int32)
            dice = overlap.dice(labels > 0, truth > 0)
            text = f"{tile.name[:26]} Dice {dice:.2f} conf {found.confidence:.2f}"
            rows.append((dice, tile.image, labels, truth, text))
        rows.sort(key=lambda row: -row[0])
        middle = len(rows) // 2
        chosen = sorted(
            {*range(min(2, len(rows))), middle, max(0, middle - 1)}
            | {
                max(0, len(rows) - 1),
                max(0, len(rows) - 2),
            }
        )
        cells = [
            np.hstack(
                [
                    _cell(rows[i][1], rows[i][4]),
                    _cell(outline(rows[i][1], rows[i][2], FOUND), "found"),
                    _cell(outline(rows[i][1], rows[i][3], TRUE), "expert"),
                ]
            )
            for i in chosen
        ]
        if len(cells) % 2:
            cells.append(np.full_like(cells[0], 255))
        pairs = [np.hstack(cells[i : i + 2]) for i in range(0, len(cells), 2)]
        cv2.imwrite(str(folder / f"{entity}.png"), np.vstack(pairs)[..., ::-1])
