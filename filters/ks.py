"""Two-sample Kolmogorov-Smirnov statistics of a region's pixels, and what they are worth.

The statistic D is what counts, not its textbook p-value. Thousands of neighbouring pixels make
every naive p-value 0, and no effective sample size repairs the variation between slides; so the
unit is the region. Its D against the concept's reference is compared with the D of correct regions
that the reference has never seen (another source is left out each time):
p = (1 + #{D_i >= D}) / (n + 1), valid when the region and the held-out ones are exchangeable
(Vovk, Gammerman and Shafer 2005, conformal prediction). Against the picture's own complement D is
an effect size without a p-value.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from filters.families import related
from filters.features import FEATURES, NORMALIZED, RAW, evenly
from filters.objects import Objects
from filters.references import Reference, References
from ner.concepts import concepts

PIXELS = 512  # pixels of a region that enter a statistic
MIN_PIXELS = 16  # fewer do not show a distribution
MIN_OBJECTS = 5  # fewer do not show a distribution of sizes
RIM_UM = 1.5  # width of the band on either side of the outline
OBJECT_FEATURES = ("log_diameter_um", "elongation", "solidity", "spacing")

_RAW = [FEATURES.index(name) for name in RAW]
_NORMALIZED = [FEATURES.index(name) for name in NORMALIZED]


def statistic(ascending: np.ndarray, quantiles: np.ndarray) -> float:
    """D between a sample and a reference given by its quantiles.

    Args:
        ascending: float (n,), sorted.
        quantiles: float (k,), ascending, at levels 0, 1/(k-1), .., 1.
    """
    above = _steps(len(ascending))
    reference = np.interp(ascending, quantiles, _steps(len(quantiles) - 1))
    return float(max((above[1:] - reference).max(), (reference - above[:-1]).max()))


@functools.lru_cache(maxsize=1024)
def _steps(n: int) -> np.ndarray:
    """0, 1/n, .., 1."""
    return np.arange(n + 1) / n


def two_sample(first: np.ndarray, second: np.ndarray) -> float:
    """D of two sorted samples, float (n,) and (m,): the number of `scipy.stats.ks_2samp`."""
    a, b = first, second
    both = np.concatenate([a, b])
    difference = np.searchsorted(a, both, side="right") / len(a)
    difference -= np.searchsorted(b, both, side="right") / len(b)
    return float(np.abs(difference).max())


def conformal(d: float, heldout: Sequence[float] | np.ndarray) -> float:
    """Conformal p of a statistic among those of held-out correct regions, ascending (n,)."""
    above = len(heldout) - int(np.searchsorted(heldout, d, side="left"))
    return (1 + above) / (len(heldout) + 1)


def sample_region(features: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Evenly spread pixels of a region, each feature sorted.

    Args:
        features: float32 (f, H, W).
        mask: bool (H, W).

    Returns:
        float32 (f, n), n at most `PIXELS`, ascending per row.
    """
    where = np.flatnonzero(mask)
    picked = features.reshape(len(features), -1)[:, where[evenly(len(where), PIXELS)]]
    return np.sort(picked, axis=1)


def object_sample(objects: Objects, mpp: float | None) -> dict[str, np.ndarray]:
    """Sorted values of whole objects; those cut by the border are left out, size needs `mpp`."""
    whole = ~objects.at_border
    sample = {
        "elongation": objects.elongation[whole],
        "solidity": objects.solidity[whole],
        "spacing": objects.spacing[whole] if len(objects.spacing) else np.empty(0),
    }
    if mpp:
        sample["log_diameter_um"] = np.log(np.maximum(objects.diameter_px[whole] * mpp, 1e-3))
    return {name: np.sort(v) for name, v in sample.items() if len(v) >= MIN_OBJECTS}


def reference_d(sample: np.ndarray, reference: Reference) -> tuple[float, float]:
    """Mean D over the raw and over the normalised features.

    Args:
        sample: float32 (10, n), see `sample_region`.
        reference: of one concept.
    """
    raw = sum(statistic(sample[i], reference.pixels[i]) for i in _RAW) / len(_RAW)
    return raw, normalized_d(sample, reference)


def normalized_d(sample: np.ndarray, reference: Reference) -> float:
    """Mean D over the normalised features alone."""
    d = sum(statistic(sample[i], reference.pixels[i]) for i in _NORMALIZED)
    return d / len(_NORMALIZED)


def object_d(sample: Mapping[str, np.ndarray], reference: Reference) -> float | None:
    """Mean D over the object features that both have, None when there is none."""
    d = [
        statistic(sample[name], reference.objects[name])
        for name in OBJECT_FEATURES
        if name in sample and name in reference.objects
    ]
    return float(np.mean(d)) if d else None


@dataclasses.dataclass(frozen=True)
class Measured:
    """Scores that are defined, and why the others are not."""

    scores: Mapping[str, float]
    notes: tuple[str, ...]


def measure(
    features: np.ndarray,
    mask: np.ndarray,
    objects: Objects | None,
    concept: str,
    mpp: float | None,
    references: References,
) -> Measured:
    """All KS scores of one mask but the picture's support.

    Args:
        features: float32 (10, H, W) of the picture.
        mask: bool (H, W), not empty.
        objects: its single objects, None for a region.
        concept: canonical name.
        mpp: um per pixel.
        references: of all concepts.
    """
    scores: dict[str, float] = {}
    notes: list[str] = []
    if int(mask.sum()) < MIN_PIXELS:
        return Measured({}, (f"ks: fewer than {MIN_PIXELS} pixels",))
    sample = sample_region(features, mask)
    outside = int(mask.size - mask.sum())
    if outside < MIN_PIXELS:
        notes.append("ks: no complement")
    else:
        scores["ks_effect"] = _effect(sample, sample_region(features, ~mask))
        rim = _rim(features, mask, mpp)
        if rim is None:
            notes.append("ks: no rim")
        else:
            scores["ks_rim"] = rim

    reference = references.concepts.get(concept)
    if reference is None:
        notes.append(f"ks: no reference for {concept}")
        return Measured(scores, tuple(notes))
    d, d_norm = reference_d(sample, reference)
    scores |= {
        "ks_d": d,
        "ks_p": conformal(d, reference.heldout["raw"]),
        "ks_d_norm": d_norm,
        "ks_p_norm": conformal(d_norm, reference.heldout["normalized"]),
    }
    others = [
        normalized_d(sample, other)
        for name, other in references.concepts.items()
        if name != concept and not related(name, concept, concepts())
    ]
    if others:
        scores["ks_margin"] = min(others) - d_norm
    if objects is not None:
        d_object = object_d(object_sample(objects, mpp), reference)
        if d_object is None:
            notes.append("ks: too few whole objects, or none in the reference")
        else:
            scores["ks_d_object"] = d_object
            scores["ks_p_object"] = conformal(d_object, reference.heldout["objects"])
    return Measured(scores, tuple(notes))


def support(features: np.ndarray, references: References) -> float:
    """Conformal p of a picture's colours and stain densities among the reference pictures.

    Args:
        features: float32 (10, H, W).
        references: with the pooled pixels of all reference pictures.
    """
    return conformal(support_d(features, references.picture), references.picture_heldout)


def support_d(features: np.ndarray, pooled: np.ndarray) -> float:
    """D of a picture, float32 (10, H, W), against the pooled pixels of reference pictures."""
    return sample_support_d(sample_picture(features), pooled)


def sample_picture(features: np.ndarray) -> np.ndarray:
    """Evenly spread pixels of a whole picture, each feature sorted: float32 (10, n)."""
    everything = features.reshape(len(features), -1)
    return np.sort(everything[:, evenly(everything.shape[1], 4 * PIXELS)], axis=1)


def sample_support_d(sample: np.ndarray, pooled: np.ndarray) -> float:
    """Largest D over the raw features but texture, sample float32 (10, n), ascending."""
    return max(statistic(sample[i], pooled[i]) for i in _RAW[:-1])


def _effect(inside: np.ndarray, outside: np.ndarray) -> float:
    """Mean two-sample D over the normalised features, float32 (10, n) each."""
    return float(np.mean([two_sample(inside[i], outside[i]) for i in _NORMALIZED]))


def _rim(features: np.ndarray, mask: np.ndarray, mpp: float | None) -> float | None:
    """Mean D between the bands just inside and just outside of the outline, None without bands."""
    width = int(np.clip(round(RIM_UM / (mpp or 0.5)), 2, 6))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    solid = mask.astype(np.uint8)
    inside = mask & (cv2.erode(solid, kernel) == 0)
    outside = ~mask & (cv2.dilate(solid, kernel) > 0)
    if min(int(inside.sum()), int(outside.sum())) < MIN_PIXELS:
        return None
    return _effect(sample_region(features, inside), sample_region(features, outside))
