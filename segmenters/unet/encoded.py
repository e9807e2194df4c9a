"""One picture as the two networks see it."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import cv2
import numpy as np

from segmenters.stain import colour, scale
from segmenters.stain.nuclei import drop_small
from segmenters.stain.scale import Scale, mask_to
from segmenters.unet import kinds, objects
from segmenters.unet.glands import find as find_glands
from segmenters.unet.model import Unet
from segmenters.unet.outputs import NUCLEI, TISSUE
from segmenters.unet.predict import predict

# um per pixel at which nuclei are looked at: finer than the middle of what the network was trained
# on. Of .5, .42 and .35 the finer the better on the sets with expert outlines kept apart (mean Dice
# .770, .785, .794); what is finer costs time.
LOOK_MPP = 0.4
# Side of the piece, in network pixels, from which an unknown scale is read.
PROBE_PX = 512
# An unknown scale is looked for at this share of what the dark blobs suggest (nuclei shown too
# large are still outlined, those shown too small melt into one another), but not below the scale of
# a 40x objective.
FIRST_LOOK = 0.5
FINEST_LOOK_MPP = 0.25
# A given scale is only looked at for gross error.
CHECK_PX = 320
# Glands, regions and the rules need the scale itself and not one at which nuclei are well outlined:
# nuclei are measured once more at this multiple of what the blobs suggest. Root mean square error
# of the logarithm on sets without a scale .07 to .27, against .2 to 1.2 of the scale for nuclei.
TISSUE_LOOK = 1.5
# Nuclei fewer than this say nothing about the scale.
MIN_NUCLEI = 6
# An estimate this far from the scale looked at is made anew at the scale estimated.
RESCALE = 1.6
# A given scale is doubted when nuclei are this much too large or too small for it.
DOUBT = 1.8
# A picture coarser than 1 um gains nothing from more than doubling it.
MAX_ENLARGE = 2.0
THRESHOLD = 0.5
MIN_NUCLEUS_UM2 = 10.0
# The lumen of a small acinus is 10 um across.
MIN_LUMEN_UM2 = 80.0


class Encoded:
    """Probability maps, each computed once and on demand."""

    def __init__(self, image: np.ndarray, mpp: float | None, nets: Mapping[str, Unet]) -> None:
        """Settle the scale.

        Args:
            image: uint8 (H, W, 3), RGB.
            mpp: um per pixel, None when unknown.
            nets: the networks by name.
        """
        self.image = image
        self.shape: tuple[int, int] = (image.shape[0], image.shape[1])
        self._nets = nets
        self._blobs: Scale | None = None
        if mpp is None:
            self.scale = self._estimate()
        else:
            self.scale = Scale(float(np.clip(mpp, 0.05, 10.0)), "given")
            seen = self._probe(self.scale.mpp, CHECK_PX)
            if seen is not None and abs(np.log(seen / self.scale.mpp)) > np.log(DOUBT):
                self.scale = Scale(seen, "nuclei")
        self.small, self.mpp = self._at(image, LOOK_MPP)

    @functools.cached_property
    def tissue_scale(self) -> Scale:
        """The scale at which glands, regions and the rules look."""
        if self._blobs is None:
            return self.scale
        look = min(TISSUE_LOOK * self._blobs.mpp, scale.MPP_RANGE[1])
        seen = self._probe(look, PROBE_PX)
        return self._blobs if seen is None else Scale(seen, "nuclei")

    def _at(self, image: np.ndarray, mpp: float) -> tuple[np.ndarray, float]:
        """Picture at `mpp`, as far as enlarging makes sense, and the um per pixel it then has."""
        small = scale.resize_to(image, min(self.scale.mpp / mpp, MAX_ENLARGE))
        return small, self.scale.mpp * image.shape[0] / small.shape[0]

    def _estimate(self) -> Scale:
        """The scale from the nuclei that the network sees, else from the dark blobs."""
        white = colour.white_point(self.image)
        density = colour.optical_density(self.image, white)
        guess = self._blobs = scale.estimate(self.image, density[..., 0])
        first = max(FIRST_LOOK * guess.mpp, FINEST_LOOK_MPP)
        seen = self._probe(first, PROBE_PX)
        if seen is None:
            return guess
        if abs(np.log(seen / first)) > np.log(RESCALE):
            seen = self._probe(seen, PROBE_PX) or seen
        return Scale(seen, "nuclei")

    def _probe(self, mpp: float, side_px: int) -> float | None:
        """The scale at which the nuclei in the middle of the picture have their usual size.

        The size that splits the area of all nuclei in half: fragments hardly count.

        Args:
            mpp: um per pixel at which the picture is looked at.
            side_px: side of the piece in network pixels.

        Returns:
            um per pixel, None where there are too few nuclei.
        """
        factor = min(mpp / LOOK_MPP, MAX_ENLARGE)
        reach = max(16, round(side_px / factor))
        y, x = (max(0, (side - reach) // 2) for side in self.shape)
        piece = scale.resize_to(self.image[y : y + reach, x : x + reach], factor)
        maps = predict(self._nets["nuclei"], NUCLEI, piece)
        areas = np.sort(np.bincount(_nuclei(maps, LOOK_MPP).ravel())[1:])
        if len(areas) < MIN_NUCLEI:
            return None
        total = np.cumsum(areas)
        middle = areas[np.searchsorted(total, total[-1] / 2)]
        seen_um = float(np.sqrt(middle * 4 / np.pi)) * mpp / factor
        return float(np.clip(mpp * scale.NUCLEUS_UM / seen_um, *scale.MPP_RANGE))

    @functools.cached_property
    def nuclear_maps(self) -> dict[str, np.ndarray]:
        """Maps of the nuclear network at about `LOOK_MPP`, float32 (h, w) each."""
        maps = predict(self._nets["nuclei"], NUCLEI, self.small)
        return dict(zip(NUCLEI.sigmoid + NUCLEI.softmax, maps, strict=True))

    @functools.cached_property
    def coarse(self) -> np.ndarray:
        """The picture as the tissue network sees it, uint8 (h, w, 3)."""
        factor = min(self.tissue_scale.mpp / TISSUE.mpp, MAX_ENLARGE)
        return scale.resize_to(self.image, factor)

    @functools.cached_property
    def tissue_maps(self) -> dict[str, np.ndarray]:
        """Maps of the tissue network at about 2 um per pixel; softmax ones have a `~` before."""
        maps = predict(self._nets["tissue"], TISSUE, self.coarse)
        names = TISSUE.sigmoid + tuple(f"~{name}" for name in TISSUE.softmax)
        return dict(zip(names, maps, strict=True))

    @functools.cached_property
    def nuclei(self) -> np.ndarray:
        """Nuclei at the scale of `small`, int32 labels (h, w)."""
        maps = np.stack([self.nuclear_maps["nucleus"], self.nuclear_maps["centre"]])
        return _nuclei(maps, self.mpp)

    @functools.cached_property
    def kind_features(self) -> np.ndarray:
        """What tells the kinds of nuclei apart, float32 (n, 33)."""
        density = colour.optical_density(self.small, colour.white_point(self.small))
        return kinds.features(self.nuclei, self.nuclear_maps, density, self.mpp)

    @functools.cached_property
    def kinds(self) -> np.ndarray:
        """Probabilities of the kinds of every nucleus, float32 (n, 5)."""
        return kinds.classify(self.kind_features)


def _nuclei(maps: np.ndarray, mpp: float) -> np.ndarray:
    probability, depth = maps[0], maps[1]
    smallest = MIN_NUCLEUS_UM2 / mpp**2
    return objects.split(probability, depth, objects.NUCLEI, smallest)


def _coarse_mpp(encoded: Encoded) -> float:
    return encoded.tissue_scale.mpp * encoded.shape[0] / encoded.coarse.shape[0]


def glands(encoded: Encoded, hint: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Glands at the scale of the tissue maps: int32 labels (h, w), float32 probability (h, w).

    Args:
        encoded: the picture.
        hint: bool (H, W) at the size of the picture, what somebody else takes for gland.
    """
    maps, image = encoded.tissue_maps, encoded.coarse
    if hint is not None:
        hint = mask_to(hint, (image.shape[0], image.shape[1]))
    return find_glands(maps["gland"], maps["centre"], image, _coarse_mpp(encoded), hint)


def lumina(encoded: Encoded) -> tuple[np.ndarray, np.ndarray]:
    """Lumina at the scale of the tissue maps: int32 labels (h, w), float32 probability (h, w)."""
    probability = encoded.tissue_maps["lumen"]
    mask = drop_small(probability > THRESHOLD, MIN_LUMEN_UM2 / _coarse_mpp(encoded) ** 2)
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    return labels.astype(np.int32), probability
