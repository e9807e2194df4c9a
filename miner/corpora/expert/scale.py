"""Whether the um per pixel that a set states agree with how large its nuclei are."""

from __future__ import annotations

import numpy as np

from miner.corpora.expert.tile import Tile

# Median equivalent diameter of nuclei in H&E sections, um: the middle of lymphocytes (6) and
# epithelium (9), as for pictures without a scale (`segmenters.stain.scale`).
NUCLEUS_UM = 7.5
# Fewer say more about these nuclei than about the scale.
LEAST_NUCLEI = 10


def nuclear_scale(tile: Tile) -> dict[str, float]:
    """What the nuclei of a picture say of its scale, for its side columns.

    Returns:
        `nuclei_um`, the median diameter of the circles of the nuclei's areas at the stated scale,
        and `nuclei_mpp`, the um per pixel at which it would be `NUCLEUS_UM`; nothing where no scale
        is stated, the set does not outline all nuclei, or the picture has too few.
    """
    nuclei = next((one for one in tile.outlined if one.concept == "nucleus" and one.apart), None)
    if nuclei is None or tile.mpp is None:
        return {}
    sizes = np.bincount(nuclei.labels.ravel())[1:]
    sizes = sizes[sizes > 0]
    if len(sizes) < LEAST_NUCLEI:
        return {}
    diameter_px = 2 * float(np.sqrt(np.median(sizes) / np.pi))
    return {
        "nuclei_um": round(diameter_px * tile.mpp, 2),
        "nuclei_mpp": round(NUCLEUS_UM / diameter_px, 3),
    }
