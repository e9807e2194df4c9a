"""The canvas: stain densities and label maps of a tile while it is being painted."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from miner.demo import fields

# What absorbs light in a section. Densities are optical densities (base 10) along unit vectors.
DYES = ("hematoxylin", "eosin", "blood", "pigment")


@dataclasses.dataclass
class Nucleus:
    """One nucleus to be drawn: centre and outline in pixels, and its kind by name."""

    kind: str
    x: float
    y: float
    angle: float
    scale: float = 1.0


class Canvas:
    """What is being painted.

    Attributes:
        rng: the only source of randomness.
        shape: (H, W) in pixels.
        mpp: micrometres per pixel.
        dye: density per dye, float32 (H, W).
        labels: label map per entity, int32 (H, W), 0 background.
        nuclei: nuclei to be drawn when all compartments are painted.
        fibre: texture of the stroma, float32 (H, W), about unit deviation.
        angle: direction of its fibres, radians, float32 (H, W).
        taken: pixels where no further nucleus may have its centre, uint8 (H, W).
        basophilia: factor of the haematoxylin of all cytoplasm.
        vesicular: 0..1, how pale the inside of large nuclei is.
        retraction: 0..1, how wide the clefts are between epithelium and stroma.
        facts: what a caption may say beside the structures (site, diagnosis).
    """

    def __init__(self, rng: np.random.Generator, shape: tuple[int, int], mpp: float):
        self.rng = rng
        self.shape = shape
        self.mpp = mpp
        self.dye = {name: np.zeros(shape, np.float32) for name in DYES}
        self.labels: dict[str, np.ndarray] = {}
        self.nuclei: list[Nucleus] = []
        self.taken = np.zeros(shape, np.uint8)
        self.facts: dict[str, str] = {}
        self.fibre, self.angle = fields.fibres(
            rng,
            shape,
            length_px=self.px(rng.uniform(20, 60)),
            width_px=self.px(rng.uniform(1.2, 3.0)),
            angle=float(rng.uniform(0, np.pi)),
            wave_px=self.px(rng.uniform(40, 160)),
            wave=float(rng.uniform(0.03, 0.16)),
        )
        self.basophilia = float(np.exp(rng.normal(0.38, 0.5)))
        self.vesicular = float(rng.beta(1.1, 1.1))
        self.retraction = float(rng.choice([0.0, 0.0, 0.5, 1.0]))

    def px(self, um: float) -> float:
        """Micrometres as pixels."""
        return um / self.mpp

    def uniform(self, low: float, high: float) -> float:
        """One uniform number."""
        return float(self.rng.uniform(low, high))

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return bool(self.rng.random() < probability)

    def noise(self, scale_um: float, octaves: int = 3) -> np.ndarray:
        """Fractal noise of a scale in micrometres, float32 (H, W), about unit deviation."""
        return fields.fractal(self.rng, self.shape, self.px(scale_um), octaves)

    def label(self, entity: str) -> np.ndarray:
        """The label map of an entity, made when it is not there yet."""
        if entity not in self.labels:
            self.labels[entity] = np.zeros(self.shape, np.int32)
        return self.labels[entity]

    def join(self, entity: str, labels: np.ndarray) -> None:
        """Add the objects of a label map to an entity, numbered on from what is there."""
        target = self.label(entity)
        top = int(target.max())
        target[labels > 0] = labels[labels > 0] + top

    def mark(self, entity: str, mask: np.ndarray) -> None:
        """Add the pixels of a mask to an entity that is stuff (label 1)."""
        self.label(entity)[mask] = 1

    def paint(self, mask: np.ndarray, soft_um: float = 0.6, **density: np.ndarray | float) -> None:
        """Replace the densities inside a mask; dyes that are not named become 0 there.

        Args:
            mask: bool (H, W).
            soft_um: width of the transition at its edge.
            density: per dye a number or float32 (H, W).
        """
        weight = fields.blur(mask.astype(np.float32), self.px(soft_um) / 2)
        for name, dye in self.dye.items():
            value = density.get(name, 0.0)
            dye += weight * (value - dye)
            np.maximum(dye, 0, out=dye)

    def cleft(self, mask: np.ndarray) -> None:
        """Tear tissue a little along the outline of a compartment, as fixation does."""
        edge = fields.borders(mask.astype(np.uint8))
        if not self.retraction or not edge.any():
            return
        away = cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_L2, 3) * self.mpp
        wide = self.retraction * np.clip(1.2 + 1.6 * self.noise(25, 2), 0, 4)
        gap = np.clip(1.5 * (wide - away), 0, 1) * ~mask
        for dye in self.dye.values():
            dye *= 1 - 0.9 * gap

    def add(self, dye: str, amount: np.ndarray) -> None:
        """Add to a density, which stays at or above zero."""
        np.maximum(self.dye[dye] + amount, 0, out=self.dye[dye])

    def clear(self, mask: np.ndarray) -> None:
        """Make room for a new compartment: nuclei and labels inside the mask go."""
        height, width = self.shape
        self.nuclei = [
            n
            for n in self.nuclei
            if not mask[min(max(round(n.y), 0), height - 1), min(max(round(n.x), 0), width - 1)]
        ]
        self.taken[mask] = 0
        for labels in self.labels.values():
            labels[mask] = 0

    def blob(self, fraction: float, scale_um: float) -> np.ndarray:
        """A random region that covers about a fraction of the tile, bool (H, W)."""
        field = self.noise(scale_um, 3)
        return field > np.quantile(field[::4, ::4], np.clip(1 - fraction, 0, 1))

    def place(
        self, mask: np.ndarray, kind: str, spacing_um: float, limit: int = 100_000, **more: float
    ) -> int:
        """Scatter nuclei inside a mask, none nearer to a placed one than its spacing.

        Args:
            mask: bool (H, W), where centres may lie.
            kind: kind of nucleus.
            spacing_um: mean distance of neighbours when packed.
            limit: most nuclei to place.
            more: `angle` and `scale` of the nuclei; without an angle they lie at random, kinds
                that follow the fibres along these.

        Returns:
            How many were placed.
        """
        free = np.flatnonzero(mask & (self.taken == 0))
        if not len(free) or limit <= 0:
            return 0
        radius = self.px(spacing_um)
        tries = int(min(len(free), 60 + 9.0 * len(free) / max(radius, 1) ** 2, 6 * limit + 20))
        spots = self.rng.choice(free, tries, replace=False)
        jitter = self.rng.random((tries, 3))
        placed = 0
        for (y, x), (a, s, r) in zip(
            np.stack(np.divmod(spots, self.shape[1]), 1).tolist(), jitter.tolist(), strict=True
        ):
            if self.taken[y, x]:
                continue
            self.nuclei.append(
                Nucleus(
                    kind,
                    x,
                    y,
                    more.get("angle", a * 2 * np.pi),
                    more.get("scale", 1.0) * (0.85 + 0.3 * s),
                )
            )
            cv2.circle(self.taken, (x, y), round(radius * (0.75 + 0.4 * r)), (1,), -1)
            placed += 1
            if placed >= limit:
                break
        return placed

    def put(self, kind: str, x: float, y: float, angle: float, clear_um: float = 0.0) -> bool:
        """Place one nucleus unless its centre is taken; whether it was placed."""
        column, row = round(x), round(y)
        inside = 0 <= row < self.shape[0] and 0 <= column < self.shape[1]
        margin = self.px(12)
        if not inside:
            if not (-margin < x < self.shape[1] + margin and -margin < y < self.shape[0] + margin):
                return False
        elif self.taken[row, column]:
            return False
        scale = self.uniform(0.85, 1.15)
        self.nuclei.append(Nucleus(kind, x, y, angle, scale))
        if clear_um and inside:
            cv2.circle(self.taken, (column, row), round(self.px(clear_um)), (1,), -1)
        return True
