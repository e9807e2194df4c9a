"""One picture as the two networks see it."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import cv2
import numpy as np

from segmenters.stain import colour, scale
from segmenters.stain.nuclei import drop_small_labels
from segmenters.stain.scale import Scale
from segmenters.unet import kinds, objects
from segmenters.unet.model import Unet
from segmenters.unet.outputs import NUCLEI, TISSUE
from segmenters.unet.predict import predict

# Side of the piece, in network pixels, from which an unknown scale is read.
PROBE_PX = 448
# A given scale is only looked at for gross error.
CHECK_PX = 256
# Nuclei fewer than this say nothing about the scale.
MIN_NUCLEI = 6
# An estimate is taken up when it differs by this factor from the scale looked at: within it the
# networks do not care.
RESCALE = 1.25
# A given scale is doubted when nuclei are this much too large or too small for it.
DOUBT = 1.8
# A picture coarser than 1 um gains nothing from more than doubling it.
MAX_ENLARGE = 2.0
THRESHOLD = 0.5
MIN_NUCLEUS_UM2 = 10.0


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
        if mpp is None:
            white = colour.white_point(image)
            guess = scale.estimate(image, colour.optical_density(image, white)[..., 0])
            self.scale = self._probe(self._probe(guess, PROBE_PX), PROBE_PX)
        else:
            given = Scale(float(np.clip(mpp, 0.05, 10.0)), "given")
            probed = self._probe(given, CHECK_PX)
            far = abs(np.log(probed.mpp / given.mpp)) > np.log(DOUBT)
            self.scale = probed if far else given
        self.small, self.mpp = self._at(image, NUCLEI.mpp)

    def _at(self, image: np.ndarray, mpp: float) -> tuple[np.ndarray, float]:
        """Picture at `mpp`, as far as enlarging makes sense, and the um per pixel it then has."""
        small = scale.resize_to(image, min(self.scale.mpp / mpp, MAX_ENLARGE))
        return small, self.scale.mpp * image.shape[0] / small.shape[0]

    def _probe(self, guess: Scale, side_px: int) -> Scale:
        """The scale at which the nuclei in the middle of the picture have their usual size."""
        factor = min(guess.mpp / NUCLEI.mpp, MAX_ENLARGE)
        reach = max(16, round(side_px / factor))
        y, x = (max(0, (side - reach) // 2) for side in self.shape)
        piece = scale.resize_to(self.image[y : y + reach, x : x + reach], factor)
        maps = predict(self._nets["nuclei"], NUCLEI, piece)
        areas = np.bincount(_nuclei(maps, NUCLEI.mpp).ravel())[1:]
        if len(areas) < MIN_NUCLEI:
            return guess
        seen_um = float(np.sqrt(np.median(areas) * 4 / np.pi)) * guess.mpp / factor
        mpp = guess.mpp * scale.NUCLEUS_UM / seen_um
        if abs(np.log(mpp / guess.mpp)) < np.log(RESCALE):
            return guess
        return Scale(float(np.clip(mpp, *scale.MPP_RANGE)), "nuclei")

    @functools.cached_property
    def nuclear_maps(self) -> dict[str, np.ndarray]:
        """Maps of the nuclear network at about .5 um per pixel, float32 (h, w) each."""
        maps = predict(self._nets["nuclei"], NUCLEI, self.small)
        return dict(zip(NUCLEI.sigmoid + NUCLEI.softmax, maps, strict=True))

    @functools.cached_property
    def tissue_maps(self) -> dict[str, np.ndarray]:
        """Maps of the tissue network at about 1 um per pixel; softmax ones have a `~` before."""
        small, _ = self._at(self.image, TISSUE.mpp)
        maps = predict(self._nets["tissue"], TISSUE, small)
        names = TISSUE.sigmoid + tuple(f"~{name}" for name in TISSUE.softmax)
        return dict(zip(names, maps, strict=True))

    @functools.cached_property
    def nuclei(self) -> np.ndarray:
        """Nuclei at the scale of `small`, int32 labels (h, w)."""
        maps = np.stack([self.nuclear_maps["nucleus"], self.nuclear_maps["centre"]])
        return _nuclei(maps, self.mpp)

    @functools.cached_property
    def kind_features(self) -> np.ndarray:
        """What tells the kinds of nuclei apart, float32 (n, 36)."""
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


def glands(encoded: Encoded) -> tuple[np.ndarray, np.ndarray]:
    """Glands at the scale of the tissue maps: int32 labels (h, w), float32 probability (h, w)."""
    maps = encoded.tissue_maps
    probability = maps["gland"]
    mpp = encoded.scale.mpp * encoded.shape[0] / probability.shape[0]
    labels = objects.split(probability, maps["centre"], objects.GLANDS, 400 / mpp**2)
    return fill_holes(labels), probability


def fill_holes(labels: np.ndarray) -> np.ndarray:
    """Holes inside single objects filled, int32 (H, W)."""
    holes = (labels == 0).astype(np.uint8)
    count, pieces = cv2.connectedComponents(holes, connectivity=4)
    edge = np.concatenate([pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]])
    open_ = np.zeros(count, bool)
    open_[np.unique(edge)] = True
    closed = ~open_[pieces] & (holes > 0)
    if not closed.any():
        return labels
    # A hole takes the label around it: labels grow into it step by step.
    filled = labels.astype(np.float32)
    kernel = np.ones((3, 3), np.uint8)
    while bool((closed & (filled == 0)).any()):
        filled = np.where(closed & (filled == 0), cv2.dilate(filled, kernel), filled)
    return drop_small_labels(filled.astype(np.int32), 1)
