"""Planted masks whose verdict is known: how far an auditor can be relied on."""

from __future__ import annotations

import dataclasses

import numpy as np

from miner.core.masks import encode
from miner.core.names import map_concept
from miner.core.pixels import encode as encode_picture
from miner.demo import render

SIDE_PX = 256
MPP = 0.5
ENOUGH_PX = 400  # smaller structures are hard to judge and would measure eyesight
WRONG_IOU = 0.2  # of a moved mask with where it belongs, at most
TRIES = 60


@dataclasses.dataclass(frozen=True)
class Control:
    """A picture with a mask that is known to be right or wrong.

    Attributes:
        picture: PNG bytes.
        concept: as asked.
        counts: COCO compressed RLE of the mask.
        height: px.
        width: px.
        mpp: um per pixel.
        right: whether the mask is what it says.
    """

    picture: bytes
    concept: str
    counts: str
    height: int
    width: int
    mpp: float
    right: bool


def plant(n: int, seed: int) -> list[Control]:
    """Draw phantoms and take `n` right masks of their truth and `n` wrong ones.

    A wrong mask is the truth of another structure of the picture, or the right one moved to where
    it does not belong.
    """
    rng = np.random.default_rng(seed)
    found: list[Control] = []
    for _ in range(TRIES * max(n, 1)):
        wrong = sum(not c.right for c in found)
        if len(found) == 2 * n:
            break
        tile = render.tile(rng, SIDE_PX, MPP, flaws=0.0)
        named = _named(tile)
        if not named:
            continue
        concept = str(rng.choice(sorted(named)))
        mask, right = named[concept], len(found) - wrong < n
        if not right:
            moved = _misplaced(rng, concept, named)
            if moved is None:
                continue
            mask = moved
        found.append(
            Control(
                encode_picture(tile.image, "png"),
                concept,
                encode(mask),
                mask.shape[0],
                mask.shape[1],
                tile.mpp,
                right,
            )
        )
    return found


def _named(tile: render.PhantomTile) -> dict[str, np.ndarray]:
    """Masks, bool (H, W), of what a tile shows enough of, by concept."""
    masks = {map_concept(entity): labels > 0 for entity, labels in tile.labels.items()}
    return {c: m for c, m in masks.items() if ENOUGH_PX <= m.sum() < m.size / 2}


def _misplaced(
    rng: np.random.Generator, concept: str, named: dict[str, np.ndarray]
) -> np.ndarray | None:
    truth = named[concept]
    rolled = [np.roll(truth, tuple(rng.integers(40, SIDE_PX - 40, 2)), (0, 1)) for _ in range(4)]
    for mask in [*(m for c, m in sorted(named.items()) if c != concept), *rolled]:
        if (mask & truth).sum() <= WRONG_IOU * (mask | truth).sum():
            return mask
    return None
