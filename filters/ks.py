"""Two-sample Kolmogorov-Smirnov statistics of a region's pixels, and what they are worth.

The statistic D is what counts, not its textbook p-value. Thousands of neighbouring pixels make
every naive p-value 0, and no effective sample size repairs the variation between slides; so the
unit is the region. Its statistic is compared with those of correct regions that the reference has
never seen (another source is left out each time): p = (1 + #{D_i >= D}) / (n + 1), valid for any
statistic when the region and the held-out ones are exchangeable (Vovk, Gammerman and Shafer 2005,
conformal prediction). Three statistics have such a p: D against the concept's own reference, raw
and with the stain normalised, and how much nearer the region is to a rival, a concept of the same
kind that stains differently. A stain that strays moves both of the rival's terms alike, so their
difference tells concepts apart where D itself cannot. Against the picture's own complement D is an
effect size without a p-value.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping

import cv2
import numpy as np

from filters.distributions import conformal, statistic, two_sample
from filters.features import FEATURES, NORMALIZED, RAW, Pixels, evenly
from filters.objects import Objects
from filters.references import Reference, References
from ner.concepts import concepts
from ner.families import related

PIXELS = 512  # pixels of a region that enter a statistic
MIN_PIXELS = 16  # fewer do not show a distribution
MIN_OBJECTS = 5  # fewer do not show a distribution of sizes
RIM_UM = 1.5  # width of the band on either side of the outline
OBJECT_FEATURES = ("log_diameter_um", "elongation", "solidity", "spacing")

_RAW = [FEATURES.index(name) for name in RAW]
_NORMALIZED = [FEATURES.index(name) for name in NORMALIZED]
# Weight of every pixel and object feature in the comparison with rivals, chosen on phantoms: stain
# that was not normalised says less, size and spacing more than shape.
_WEIGHT = np.array(
    [0.5 if name in RAW else 1.0 for name in FEATURES]
    + [{"log_diameter_um": 3.0, "spacing": 2.0}.get(name, 0.5) for name in OBJECT_FEATURES]
)


def sample_region(pixels: Pixels, mask: np.ndarray) -> np.ndarray:
    """Evenly spread pixels of a region, each feature sorted.

    Args:
        pixels: of the picture.
        mask: bool (H, W).

    Returns:
        float32 (10, n), n at most `PIXELS`, ascending per row.
    """
    return _sample(pixels, np.flatnonzero(mask))


def _sample(pixels: Pixels, where: np.ndarray) -> np.ndarray:
    return np.sort(pixels.at(where[evenly(len(where), PIXELS)]), axis=1)


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


def reference_d(d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean D over the raw and over the normalised features, of D float (.., 10)."""
    return d[..., _RAW].mean(axis=-1), d[..., _NORMALIZED].mean(axis=-1)


def object_ds(sample: Mapping[str, np.ndarray], reference: Reference) -> np.ndarray:
    """D per object feature, float64 (4,), NaN where one of the two has none."""
    out = np.full(len(OBJECT_FEATURES), np.nan)
    for i, name in enumerate(OBJECT_FEATURES):
        if name in sample and name in reference.objects:
            out[i] = statistic(sample[name], reference.objects[name])
    return out


def object_d(sample: Mapping[str, np.ndarray], reference: Reference) -> float | None:
    """Mean D over the object features that both have, None when there is none."""
    d = object_ds(sample, reference)
    return float(np.nanmean(d)) if np.isfinite(d).any() else None


def rivals(concept: str, known: Iterable[str]) -> tuple[str, ...]:
    """Those of the known concepts that are of the same kind, stain differently and are no kin."""
    table = concepts()
    own = table.get(concept)
    if own is None:
        return ()
    return tuple(
        name
        for name in known
        if table[name].kind == own.kind
        and table[name].stain != own.stain
        and not related(name, concept, table)
    )


def nearer_rival(own: np.ndarray, others: np.ndarray) -> float:
    """How much nearer the nearest rival is than the concept itself, -1..1; positive: nearer.

    Args:
        own: D per pixel and object feature, float (14,), NaN where undefined.
        others: the same against every rival, float (r, 14), r at least 1.
    """
    gap = own - others
    weight = np.where(np.isfinite(gap), _WEIGHT, 0.0)
    return float(((np.nan_to_num(gap) * weight).sum(axis=1) / weight.sum(axis=1)).max())


@dataclasses.dataclass(frozen=True)
class Measured:
    """Scores that are defined, and why the others are not."""

    scores: Mapping[str, float]
    notes: tuple[str, ...]


def measure(
    pixels: Pixels,
    mask: np.ndarray,
    objects: Objects | None,
    concept: str,
    mpp: float | None,
    references: References,
) -> Measured:
    """All KS scores of one mask but the picture's support.

    Args:
        pixels: of the picture.
        mask: bool (H, W), not empty.
        objects: its single objects, None for a region.
        concept: canonical name.
        mpp: um per pixel.
        references: of all concepts.
    """
    scores: dict[str, float] = {}
    notes: list[str] = []
    inside, outside = np.flatnonzero(mask), np.flatnonzero(~mask)
    if len(inside) < MIN_PIXELS:
        return Measured({}, (f"ks: fewer than {MIN_PIXELS} pixels",))
    sample = _sample(pixels, inside)
    if len(outside) < MIN_PIXELS:
        notes.append("ks: no complement")
    else:
        scores["ks_effect"] = _effect(sample, _sample(pixels, outside))
        rim = _rim(pixels, mask, mpp)
        if rim is None:
            notes.append("ks: no rim")
        else:
            scores["ks_rim"] = rim

    reference = references.concepts.get(concept)
    if reference is None:
        notes.append(f"ks: no reference for {concept}")
        return Measured(scores, tuple(notes))
    d = references.table.d(sample)
    raw, normalized = reference_d(d)
    at = references.order[concept]
    scores |= {
        "ks_d": float(raw[at]),
        "ks_p": conformal(raw[at], reference.heldout["raw"]),
        "ks_d_norm": float(normalized[at]),
        "ks_p_norm": conformal(normalized[at], reference.heldout["normalized"]),
    }
    others, apart = _others(concept, tuple(references.concepts))
    if others:
        scores["ks_margin"] = float(normalized[list(others)].min() - normalized[at])
    shape = {} if objects is None else object_sample(objects, mpp)
    if objects is not None:
        d_object = object_d(shape, reference)
        if d_object is None:
            notes.append("ks: too few whole objects, or none in the reference")
        else:
            scores["ks_d_object"] = d_object
            scores["ks_p_object"] = conformal(d_object, reference.heldout["objects"])
    if apart:
        names = list(references.concepts)
        rows = [with_objects(d[i], shape, references.concepts[names[i]]) for i in (at, *apart)]
        rival = nearer_rival(rows[0], np.stack(rows[1:]))
        scores["ks_rival"] = -rival
        scores["ks_p_rival"] = conformal(rival, reference.heldout["rival"])
    return Measured(scores, tuple(notes))


def with_objects(
    d: np.ndarray, sample: Mapping[str, np.ndarray], reference: Reference
) -> np.ndarray:
    """D per pixel feature (10,) followed by D per object feature, float64 (14,)."""
    return np.concatenate([d, object_ds(sample, reference)])


@functools.lru_cache(maxsize=1024)
def _others(concept: str, known: tuple[str, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Places of the concepts that are no kin, and of the rivals among them."""
    table = concepts()
    apart = set(rivals(concept, known))
    others = [i for i, n in enumerate(known) if n != concept and not related(n, concept, table)]
    return tuple(others), tuple(i for i in others if known[i] in apart)


def support(pixels: Pixels, references: References) -> float:
    """Conformal p of a picture's colours and stain densities among the reference pictures."""
    d = support_d(sample_picture(pixels), references.picture)
    return conformal(d, references.picture_heldout)


def sample_picture(pixels: Pixels) -> np.ndarray:
    """Evenly spread pixels of a whole picture, each feature sorted: float32 (10, n)."""
    return np.sort(pixels.at(evenly(pixels.size, 4 * PIXELS)), axis=1)


def support_d(sample: np.ndarray, pooled: np.ndarray) -> float:
    """Largest D over the raw features but texture, sample float32 (10, n), ascending."""
    return max(statistic(sample[i], pooled[i]) for i in _RAW[:-1])


def _effect(inside: np.ndarray, outside: np.ndarray) -> float:
    """Mean two-sample D over the normalised features, float32 (10, n) each."""
    return float(np.mean([two_sample(inside[i], outside[i]) for i in _NORMALIZED]))


def _rim(pixels: Pixels, mask: np.ndarray, mpp: float | None) -> float | None:
    """Mean D between the bands just inside and just outside of the outline, None without bands."""
    width = int(np.clip(round(RIM_UM / (mpp or 0.5)), 2, 6))
    kernel = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    top, left = max(rows[0] - width, 0), max(columns[0] - width, 0)
    part = mask[top : rows[-1] + width + 1, left : columns[-1] + width + 1]
    solid = part.astype(np.uint8)
    bands = []
    for band in (part & (cv2.erode(solid, kernel) == 0), ~part & (cv2.dilate(solid, kernel) > 0)):
        where = np.flatnonzero(band)
        if len(where) < MIN_PIXELS:
            return None
        ys, xs = np.divmod(where[evenly(len(where), PIXELS)], part.shape[1])
        bands.append(_sample(pixels, (ys + top) * mask.shape[1] + xs + left))
    return _effect(*bands)
