"""Phantom tiles: a synthetic picture of stained tissue and the truth about it."""

from __future__ import annotations

import dataclasses

import numpy as np

from miner.core.names import map_concept
from miner.demo import artefacts, nuclei, stains
from miner.demo.canvas import Canvas
from miner.demo.organs import ORGANS

MIN_AREA_UM2 = 40.0  # an entity smaller than this is not called present
MIN_SMALL_UM2 = 12.0
MIN_STUFF_SHARE = 0.01


@dataclasses.dataclass(frozen=True)
class PhantomTile:
    """A phantom tile.

    Attributes:
        image: uint8 (H, W, 3), RGB.
        labels: label map per entity, int32 (H, W), 0 background, objects 1..n. Complete: an
            entity that is not there does not occur in the picture. Stuff has the single label 1.
        mpp: micrometres per pixel.
        organ: site, a key of `ORGANS`.
        finding: "normal" or what a report would say.
        stain: name of the stain, a key of `stains.RECIPES`.
        look: how it was stained and scanned.
        artefacts: names of the artefacts in it.
    """

    image: np.ndarray
    labels: dict[str, np.ndarray]
    mpp: float
    organ: str
    finding: str
    stain: str
    look: stains.Look
    artefacts: tuple[str, ...] = ()

    @property
    def present(self) -> tuple[str, ...]:
        """Concepts that can be seen in the picture, sorted."""
        return tuple(sorted(map_concept(entity) for entity in self.labels))

    @property
    def absent(self) -> tuple[str, ...]:
        """Concepts phantoms can show and this one does not, sorted."""
        return tuple(sorted({map_concept(e) for e in ENTITIES} - set(self.present)))


# Every entity that a phantom can have a label map of.
ENTITIES = (
    "nuclei", "epithelial_nuclei", "stromal_nuclei", "tumor_cell", "lymphocyte", "plasma_cell",
    "neutrophil", "eosinophil", "macrophage", "mitotic_figure", "apoptotic_body", "hepatocyte",
    "goblet_cell", "gland", "lumen", "tubule", "thyroid_follicle", "lymphoid_follicle",
    "glomerulus", "alveolus", "blood_vessel", "red_blood_cell", "lipid_droplet", "stroma",
    "epithelium", "tumor", "smooth_muscle", "fat", "necrosis", "mucin", "colloid", "keratin",
    "hemorrhage", "pigment",
)  # fmt: skip

STUFF = frozenset(
    {
        "stroma", "epithelium", "tumor", "smooth_muscle", "fat", "necrosis", "mucin", "colloid",
        "keratin", "hemorrhage", "pigment",
    }
)  # fmt: skip


SMALL = frozenset({"neutrophil", "red_blood_cell", "apoptotic_body", "pigment"})


def tile(
    seed: int | np.random.Generator,
    size: int | tuple[int, int] = 256,
    mpp: float | None = None,
    organ: str | None = None,
    stain: str = "H&E",
    flaws: float = 0.15,
    jpeg: bool = True,
    look: stains.Look | None = None,
) -> PhantomTile:
    """Render one phantom tile; equal arguments give equal tiles.

    Args:
        seed: seed or generator.
        size: side in pixels, or (H, W).
        mpp: micrometres per pixel, 0.2 to 1.0 at random when None.
        organ: key of `ORGANS`, at random when None.
        stain: "H&E", "PAS", "IHC", "hematoxylin" or "trichrome".
        flaws: probability of an artefact (fold, bubble, pen mark, dust, defocus).
        jpeg: whether the picture carries JPEG artefacts.
        look: how it is stained and scanned (then `stain` is its), at random when None.
    """
    rng = np.random.default_rng(seed)
    shape = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
    scale = float(np.exp(rng.uniform(np.log(0.2), np.log(1.0)))) if mpp is None else float(mpp)
    site = str(rng.choice(list(ORGANS))) if organ is None else organ
    canvas = Canvas(rng, shape, scale)
    ORGANS[site](canvas)
    nuclei.draw(canvas)
    chosen = stain if look is None else look.stain
    if chosen == "IHC":
        stains.immunostain(canvas)
    look = stains.random_look(rng, stain, jpeg) if look is None else look
    found = artefacts.before_light(canvas, flaws)
    image = stains.develop(rng, canvas.dye, scale, dataclasses.replace(look, jpeg=None))
    image, more = artefacts.on_glass(rng, image, scale, flaws)
    if jpeg and look.jpeg is not None:
        image = stains.reencode(image, look.jpeg)
    return PhantomTile(
        image=image,
        labels=finish(canvas.labels, scale),
        mpp=scale,
        organ=site,
        finding=canvas.facts.get("finding", "normal"),
        stain=look.stain,
        look=look,
        artefacts=found + more,
    )


def crop(whole: PhantomTile, y: int, x: int, height: int, width: int) -> PhantomTile:
    """A part of a tile, with the truth about that part."""
    window = (slice(y, y + height), slice(x, x + width))
    return dataclasses.replace(
        whole,
        image=np.ascontiguousarray(whole.image[window]),
        labels=finish({e: labels[window] for e, labels in whole.labels.items()}, whole.mpp),
    )


def finish(labels: dict[str, np.ndarray], mpp: float) -> dict[str, np.ndarray]:
    """Label maps with numbers 1..n, in the order of `ENTITIES`, without those that hold nothing."""
    maps = {}
    for entity in ENTITIES:
        found = labels.get(entity)
        if found is None:
            continue
        least = MIN_STUFF_SHARE * found.size if entity in STUFF else MIN_AREA_UM2 / mpp**2
        if entity in SMALL:
            least = MIN_SMALL_UM2 / mpp**2
        if int((found > 0).sum()) >= max(least, 4):
            maps[entity] = found.copy() if entity in STUFF else nuclei.relabel(found)
    return maps
