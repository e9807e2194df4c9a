"""One picture as the networks see it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import cv2
import numpy as np

from segmenters.mitoses import candidates
from segmenters.regions import outputs as regions
from segmenters.stain import colour, scale, support
from segmenters.stain.nuclei import drop_small
from segmenters.stain.scale import Scale, mask_to
from segmenters.unet import darkness, kinds, objects
from segmenters.unet import glomeruli as single
from segmenters.unet.glands import MPP as GLAND_MPP
from segmenters.unet.glands import find as find_glands
from segmenters.unet.outputs import GLOMERULI, NUCLEI
from segmenters.unet.predict import predict

if TYPE_CHECKING:
    from segmenters.kinds.model import KindNet
    from segmenters.mitoses.model import FigureNet
    from segmenters.regions.model import RegionNet
    from segmenters.unet.model import Unet


@dataclasses.dataclass(frozen=True)
class Nets:
    """The networks.

    Attributes:
        unets: those of `HEADS` by name.
        regions: tells the tissue at 1 um per pixel.
        mitoses: tells figures from other dark things.
        kinds: tells nuclei apart.
    """

    unets: Mapping[str, Unet]
    regions: RegionNet
    mitoses: FigureNet
    kinds: KindNet


# um per pixel at which nuclei are looked at: finer than the middle of what the network was trained
# on. Of .5, .42 and .35 the finer the better on the sets with expert outlines kept apart (mean Dice
# .770, .785, .794); what is finer costs time.
LOOK_MPP = 0.4
# Side of the piece, in network pixels, from which an unknown scale is read: 512 is no nearer to the
# truth on training tiles kept apart (root mean square error of the logarithm .32 to .31 on
# brca_m2c, .16 and .16 on nuinsseg, .29 to .28 on tnbc) and takes longer.
PROBE_PX = 384
# An unknown scale is looked for at this share of what the dark blobs suggest (nuclei shown too
# large are still outlined, those shown too small melt into one another), but not below the scale of
# a 40x objective.
FIRST_LOOK = 0.5
FINEST_LOOK_MPP = 0.25
# Glands, regions and the rules need the scale itself and not one at which nuclei are well outlined:
# nuclei are measured once more at this multiple of what the blobs suggest. Root mean square error
# of the logarithm on sets without a scale .07 to .27, against .2 to 1.2 of the scale for nuclei.
TISSUE_LOOK = 1.5
# Of an unknown scale one of these two is about right more often than either: share of the tissue's
# in the mean of what is seen at both. Dice with the scale hidden, at 1, .55, .4 and 0: stroma of
# brca_m2c (13 tiles) .80, .79, .78, .74, of ebhi_seg (8) .86, .84, .78, .33, of hgsc (8) .21, .91,
# .94, .95; tumor of bcss (8) .76, .75, .74, .73, of ebhi_seg (8) .82, .80, .79, .78, of crc (3)
# .79, .97, .99, .99; all else within .02.
TISSUE_SHARE = 0.55
# Nuclei fewer than this say nothing about the scale.
MIN_NUCLEI = 6
# An estimate this far from the scale looked at is made anew at the scale estimated.
RESCALE = 1.6
# A given scale is only looked at for gross error: it is doubted when nuclei are this much too large
# or too small for it.
DOUBT = 1.8
# A picture coarser than 1 um gains nothing from more than doubling it.
MAX_ENLARGE = 2.0
THRESHOLD = 0.5
MIN_NUCLEUS_UM2 = 10.0
# The lumen of a small acinus is 10 um across.
MIN_LUMEN_UM2 = 80.0


class UnetMaps:
    """Nuclei and their scale; all other maps once each and on demand."""

    def __init__(self, image: np.ndarray, mpp: float | None, nets: Nets) -> None:
        """Settle the scale.

        Args:
            image: uint8 (H, W, 3), RGB.
            mpp: um per pixel, None when unknown.
            nets: the networks.
        """
        self.image = image
        self.shape: tuple[int, int] = (image.shape[0], image.shape[1])
        self._nets = nets
        self._blobs: Scale | None = None
        if mpp is None:
            self._look(self._estimate())
            return
        self._look(Scale(float(np.clip(mpp, 0.05, 10.0)), "given"))
        seen = _scale_of(self.nuclei, self.scale.mpp / self.mpp)
        if seen is not None and abs(np.log(seen / self.scale.mpp)) > np.log(DOUBT):
            self._look(Scale(seen, "nuclei"))

    def _look(self, settled: Scale) -> None:
        """Find the nuclei at a scale.

        Sets `scale`; `small`, uint8 (h, w, 3), the picture at about `LOOK_MPP`, and `mpp`, its um
        per pixel; `nuclear_maps`, float32 (h, w) each; `nucleus`, float32 (h, w), probability by
        the network and by darkness; `nuclei`, int32 labels (h, w).
        """
        self.scale = settled
        self.small = scale.resize_to(self.image, min(settled.mpp / LOOK_MPP, MAX_ENLARGE))
        self.mpp = settled.mpp * self.shape[0] / self.small.shape[0]
        maps = predict(self._nets.unets["nuclei"], NUCLEI, self.small)
        self.nuclear_maps = dict(zip(NUCLEI.sigmoid + NUCLEI.softmax, maps, strict=True))
        self._density = colour.optical_density(self.small, colour.white_point(self.small))
        self.nucleus = darkness.sharpen(self.nuclear_maps["nucleus"], self._density[..., 0])
        self.nuclei = _nuclei(self.nucleus, self.nuclear_maps["centre"], self.mpp)

    @functools.cached_property
    def kind(self) -> str:
        """Kind of picture, one of `support.KINDS`."""
        return support.recognise(self.image)

    @functools.cached_property
    def tissue_scale(self) -> Scale:
        """The scale at which glands, regions and the rules look."""
        if self._blobs is None:
            return self.scale
        seen = self._probe(min(TISSUE_LOOK * self._blobs.mpp, scale.MPP_RANGE[1]))
        return self._blobs if seen is None else Scale(seen, "nuclei")

    def _estimate(self) -> Scale:
        """The scale from the nuclei that the network sees, else from the dark blobs."""
        white = colour.white_point(self.image)
        density = colour.optical_density(self.image, white)
        guess = self._blobs = scale.estimate(self.image, density[..., 0])
        first = max(FIRST_LOOK * guess.mpp, FINEST_LOOK_MPP)
        seen = self._probe(first)
        if seen is None:
            return guess
        if abs(np.log(seen / first)) > np.log(RESCALE):
            seen = self._probe(seen) or seen
        return Scale(seen, "nuclei")

    def _probe(self, mpp: float) -> float | None:
        """The scale at which the nuclei in the middle of the picture have their usual size.

        Args:
            mpp: um per pixel that the picture is first taken to have.

        Returns:
            um per pixel, None where there are too few nuclei.
        """
        factor = min(mpp / LOOK_MPP, MAX_ENLARGE)
        reach = max(16, round(PROBE_PX / factor))
        y, x = (max(0, (side - reach) // 2) for side in self.shape)
        piece = scale.resize_to(self.image[y : y + reach, x : x + reach], factor)
        maps = predict(self._nets.unets["nuclei"], NUCLEI, piece, len(NUCLEI.sigmoid))
        return _scale_of(_nuclei(maps[0], maps[1], LOOK_MPP), factor)

    def _coarse(self, mpp: float) -> np.ndarray:
        return scale.resize_to(self.image, min(self.tissue_scale.mpp / mpp, MAX_ENLARGE))

    @functools.cached_property
    def coarse(self) -> np.ndarray:
        """The picture at the scale at which glands are told apart, uint8 (h, w, 3)."""
        return self._coarse(GLAND_MPP)

    def at_coarse(self, name: str) -> np.ndarray:
        """One of the region maps at the size of `coarse`, float32 (h, w)."""
        size = self.coarse.shape[1::-1]
        return cv2.resize(self.region_maps[name], size, interpolation=cv2.INTER_AREA)

    @functools.cached_property
    def region_maps(self) -> dict[str, np.ndarray]:
        """Classes of `regions.CLASSES`, maps and kinds of nuclei at about 1 um per pixel."""
        return self._regions_at(self.tissue_scale)

    @functools.cached_property
    def tissue_maps(self) -> dict[str, np.ndarray]:
        """Classes of `regions.CLASSES`, float32 (h, w) each, as sure as the scale is.

        Where it is estimated, the mean of what is seen at the scale of the tissue and at that of
        the nuclei: one of the two is about right.
        """
        found = self.region_maps
        if self.tissue_scale == self.scale:
            return {name: found[name] for name in regions.CLASSES}
        other = self._regions_at(self.scale, len(regions.CLASSES))
        size = found[regions.CLASSES[0]].shape[::-1]
        return {
            name: TISSUE_SHARE * found[name] + (1 - TISSUE_SHARE) * cv2.resize(other[name], size)
            for name in regions.CLASSES
        }

    def _regions_at(self, settled: Scale, count: int | None = None) -> dict[str, np.ndarray]:
        seen = scale.resize_to(self.image, min(settled.mpp / regions.MPP, MAX_ENLARGE))
        maps = predict(self._nets.regions, regions.RegionHead(), seen, count)
        names = (*regions.CLASSES, *regions.MAPS, *(f"~{name}" for name in regions.KINDS))
        return dict(zip(names[:count], maps, strict=True))

    @functools.cached_property
    def figures(self) -> tuple[np.ndarray, np.ndarray]:
        """Dark things that may be dividing or dying.

        Returns:
            int32 labels (h, w) at the scale of `small`; float32 (n, 3), probabilities of
            `segmenters.mitoses.model.KINDS`, one row per label in order.
        """
        from segmenters.mitoses import model

        found = candidates.find(self._density[..., 0], self.mpp)
        back = self.shape[0] / self.small.shape[0]
        factor = self.mpp / back / model.MPP
        crops = [
            model.crop(self.image, (y + 0.5) * back - 0.5, (x + 0.5) * back - 0.5, factor)
            for y, x in found.places
        ]
        side = model.CROP_PX
        stacked = np.stack(crops) if crops else np.zeros((0, side, side, 3), np.uint8)
        return found.labels, model.classify(self._nets.mitoses, stacked)

    @functools.cached_property
    def glomerulus(self) -> np.ndarray:
        """Probability of glomerulus at about 3 um per pixel, float32 (h, w)."""
        return predict(self._nets.unets["glomeruli"], GLOMERULI, self._coarse(GLOMERULI.mpp))[0]

    @functools.cached_property
    def kind_features(self) -> np.ndarray:
        """What tells the kinds of nuclei apart, float32 (n, 33)."""
        return kinds.features(self.nuclei, self.nuclear_maps, self._density, self.mpp)

    @functools.cached_property
    def kinds(self) -> np.ndarray:
        """Probabilities of the kinds of every nucleus, float32 (n, 5)."""
        near = kinds.classify(self.kind_features)
        if not len(near):
            return near
        maps = [self.region_maps[f"~{name}"] for name in regions.KINDS]
        wide = kinds.within(self.nuclei, maps)
        return kinds.together(near, wide, kinds.within(self.nuclei, self._kind_maps()))

    def _kind_maps(self) -> list[np.ndarray]:
        """Kind of the nucleus that a pixel belongs to, float32 (h, w) each."""
        from segmenters.kinds import model

        seen = scale.resize_to(self.image, min(self.scale.mpp / model.LOOK_MPP, MAX_ENLARGE))
        return list(predict(self._nets.kinds, model.KindHead(), model.usual_colours(seen)))

    @functools.cached_property
    def large_nuclei(self) -> tuple[np.ndarray, np.ndarray]:
        """The nuclei at the size of the picture, int32 labels; float32 probability, (H, W)."""
        return objects.enlarge(self.nuclei, self.nucleus, THRESHOLD, self.shape)


def _nuclei(probability: np.ndarray, depth: np.ndarray, mpp: float) -> np.ndarray:
    smallest = MIN_NUCLEUS_UM2 / mpp**2
    return objects.split(probability, depth, objects.NUCLEI, smallest)


def _scale_of(labels: np.ndarray, factor: float) -> float | None:
    """The um per pixel at which nuclei have their usual size, None where there are too few.

    By the size that splits the area of all nuclei in half: fragments hardly count.

    Args:
        labels: int32 (h, w), 1..n.
        factor: pixels of `labels` per pixel of the picture.
    """
    areas = np.sort(np.bincount(labels.ravel())[1:])
    if len(areas) < MIN_NUCLEI:
        return None
    total = np.cumsum(areas)
    middle = areas[np.searchsorted(total, total[-1] / 2)]
    diameter_px = float(np.sqrt(middle * 4 / np.pi))
    return float(np.clip(scale.NUCLEUS_UM * factor / diameter_px, *scale.MPP_RANGE))


def _mpp(encoded: UnetMaps, coarse: np.ndarray) -> float:
    return encoded.tissue_scale.mpp * encoded.shape[0] / coarse.shape[0]


def glands(encoded: UnetMaps, hint: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Glands at `GLAND_MPP`: int32 labels (h, w), float32 probability (h, w).

    Args:
        encoded: the picture.
        hint: bool (H, W) at the size of the picture, what somebody else takes for gland.
    """
    image = encoded.coarse
    if hint is not None:
        hint = mask_to(hint, (image.shape[0], image.shape[1]))
    mpp = _mpp(encoded, image)
    gland, depth, fat = (encoded.at_coarse(name) for name in ("gland", "centre", "fat"))
    return find_glands(gland, depth, image, mpp, hint, fat)


def lumina(encoded: UnetMaps) -> tuple[np.ndarray, np.ndarray]:
    """Lumina at `GLAND_MPP`: int32 labels (h, w), float32 probability (h, w)."""
    probability = encoded.at_coarse("lumen")
    mask = drop_small(probability > THRESHOLD, MIN_LUMEN_UM2 / _mpp(encoded, encoded.coarse) ** 2)
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    return labels.astype(np.int32), probability


def glomeruli(encoded: UnetMaps) -> tuple[np.ndarray, np.ndarray]:
    """Glomeruli at about 3 um per pixel: int32 labels (h, w), float32 probability (h, w)."""
    probability = encoded.glomerulus
    return single.find(probability, _mpp(encoded, probability)), probability
